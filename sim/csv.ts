/**
 * A streaming reader of CSV (RFC 4180) for files of trips: quotes, doubled quotes, line breaks within quotes, CRLF, a byte
 * order mark, empty lines. It holds one record at a time, and one record is bounded, so that a quote that never closes
 * cannot swallow a file.
 */
import { createReadStream } from 'node:fs';

export interface CsvRecord {
  /** Number of the record in the file; the header is 1. Empty lines count. */
  row: number;
  fields: string[];
}

export class CsvError extends Error {
  readonly row: number;
  constructor(row: number, message: string) {
    super(`row ${row}: ${message}`);
    this.name = 'CsvError';
    this.row = row;
  }
}

const MAX_RECORD_CHARS = 1_000_000;

/** Yields every record that is not an empty line. Throws CsvError on a record longer than a million characters. */
export async function* readCsv(chunks: AsyncIterable<string> | Iterable<string>): AsyncGenerator<CsvRecord> {
  let row = 1;
  let fields: string[] = [];
  let field = '';
  let length = 0;
  let quoted = false;
  // A quote seen inside quotes is the end, unless the next character is a quote too: that may be in the next chunk.
  let quoteSeen = false;
  let first = true;
  let carriageReturn = false;

  for await (const chunk of chunks) {
    let i = 0;
    if (first && chunk.length > 0) {
      first = false;
      if (chunk.charCodeAt(0) === 0xfeff) i = 1;
    }
    for (; i < chunk.length; i++) {
      const char = chunk[i]!;
      if (++length > MAX_RECORD_CHARS)
        throw new CsvError(row, `longer than ${MAX_RECORD_CHARS} characters (a quote that is never closed?)`);
      if (quoted && !quoteSeen) {
        if (char === '"') quoteSeen = true;
        else field += char;
        continue;
      }
      if (quoted && quoteSeen) {
        quoteSeen = false;
        if (char === '"') {
          field += '"';
          continue;
        }
        quoted = false;
      }
      if (carriageReturn) {
        carriageReturn = false;
        if (char === '\n') continue;
      }
      if (char === '"' && field === '') quoted = true;
      else if (char === ',') {
        fields.push(field);
        field = '';
      } else if (char === '\n' || char === '\r') {
        carriageReturn = char === '\r';
        fields.push(field);
        if (fields.length > 1 || field.trim() !== '') yield { row, fields };
        row += 1;
        fields = [];
        field = '';
        length = 0;
      } else field += char;
    }
  }
  fields.push(field);
  if (fields.length > 1 || field.trim() !== '') yield { row, fields };
}

/** The records of a UTF-8 file. Errors of the file system pass through. */
export function readCsvFile(path: string): AsyncGenerator<CsvRecord> {
  return readCsv(createReadStream(path, { encoding: 'utf8', highWaterMark: 256 * 1024 }));
}
