/** The port's filters and pages as SQL that the declared indexes can serve. */
import type { FieldValue, Filter, PageQuery } from '../../ports/store.ts';
import type { Cursor } from '../store/cursor.ts';
import type { SqlValue, Statement } from './protocol.ts';
import { expression, isColumn, jsonPath, tableOf } from './schema.ts';

interface Clause {
  sql: string;
  parameters: SqlValue[];
}

/** json_extract makes 1 and 0 of true and false; where that could matter the JSON type is asked too. */
function typed(field: string, isBoolean: boolean): string {
  const type = `json_type(doc,'${jsonPath(field)}')`;
  return isBoolean ? `${type} IN ('true','false')` : `${type} NOT IN ('true','false')`;
}

function equals(field: string, value: FieldValue): Clause {
  const left = expression(field);
  if (value === null) return { sql: `${left} IS NULL`, parameters: [] };
  if (typeof value === 'boolean') {
    const sql = isColumn(field) ? 'FALSE' : `${left} = ${value ? 1 : 0} AND ${typed(field, true)}`;
    return { sql, parameters: [] };
  }
  const ambiguous = (value === 0 || value === 1) && !isColumn(field);
  return { sql: `${left} = ?${ambiguous ? ` AND ${typed(field, false)}` : ''}`, parameters: [value] };
}

/** One JSON parameter for any number of values, so that the statement can be cached. */
function isIn(field: string, values: readonly FieldValue[]): Clause {
  const isApart = (value: FieldValue) => value === null || typeof value === 'boolean' || value === 0 || value === 1;
  const clauses = [...new Set(values.filter(isApart))].map((value) => equals(field, value));
  const rest = values.filter((value) => !isApart(value));
  if (rest.length > 0 || clauses.length === 0) {
    const sql = `${expression(field)} IN (SELECT value FROM json_each(?))`;
    clauses.push({ sql, parameters: [JSON.stringify(rest)] });
  }
  return join(clauses, ' OR ');
}

const OPERATORS = { gte: '>=', gt: '>', lt: '<', lte: '<=' } as const;

/**
 * SQLite orders numbers before text, so a lower bound that is a number would let all text in and an upper bound that is
 * text all numbers: a missing end is closed at the empty string, which lies between the two. Only a missing one, for of two bounds on
 * one side SQLite may seek by the wider. A number above 1 is none that json_extract made of true: then the document is not read for it.
 */
function range(field: string, bounds: Partial<Record<keyof typeof OPERATORS, number | string>>): Clause {
  const left = expression(field);
  const clauses: Clause[] = [];
  for (const [key, operator] of Object.entries(OPERATORS) as [keyof typeof OPERATORS, string][]) {
    const bound = bounds[key];
    if (bound !== undefined) clauses.push({ sql: `${left} ${operator} ?`, parameters: [bound] });
  }
  const types = [typeof (bounds.gte ?? bounds.gt), typeof (bounds.lt ?? bounds.lte)];
  if (types[0] === 'number' && types[1] !== 'number') clauses.push({ sql: `${left} < ''`, parameters: [] });
  if (types[1] === 'string' && types[0] !== 'string') clauses.push({ sql: `${left} >= ''`, parameters: [] });
  if (types.includes('number') && !isColumn(field))
    clauses.push({ sql: `${left} > 1 OR ${typed(field, false)}`, parameters: [] });
  return join(clauses, ' AND ');
}

function join(clauses: readonly Clause[], by: ' AND ' | ' OR '): Clause {
  return {
    sql: clauses.length === 1 ? clauses[0]!.sql : clauses.map((clause) => `(${clause.sql})`).join(by),
    parameters: clauses.flatMap((clause) => clause.parameters),
  };
}

function condition(field: string, wanted: Filter[string]): Clause {
  if (wanted === null || typeof wanted !== 'object') return equals(field, wanted);
  if ('in' in wanted) return isIn(field, wanted.in);
  if ('exists' in wanted) return { sql: `${expression(field)} IS ${wanted.exists ? 'NOT ' : ''}NULL`, parameters: [] };
  return range(field, wanted);
}

/** A condition that can follow WHERE. */
export function whereClause(where: Filter): Clause {
  const clauses = Object.entries(where).map(([field, wanted]) => condition(field, wanted));
  return clauses.length === 0 ? { sql: 'TRUE', parameters: [] } : join(clauses, ' AND ');
}

/** What is read of a document in place of the whole. */
export const columnsOf = (fields: readonly string[]): string => fields.map(expression).join(', ');

/**
 * The filter of a page, with the cursor in place of the bound that it is past of: of two bounds on one side SQLite may seek by the
 * wider, and read all pages before once more. A cursor is no secret: one that lies outside of the bound is none that it is past of.
 */
function beyond({ where, direction }: PageQuery, field: string, after: Cursor | null): Filter {
  const bounds = where[field];
  const from = after?.value ?? null;
  if (from === null || typeof from === 'boolean' || bounds === null || typeof bounds !== 'object') return where;
  if ('in' in bounds || 'exists' in bounds) return where;
  const { gte, gt, ...below } = bounds;
  const { lt, lte, ...above } = bounds;
  const passed = direction === 'asc' ? [gte, gt] : [lt, lte];
  const isPast = (bound: string | number): boolean =>
    typeof bound === typeof from && (direction === 'asc' ? from >= bound : from <= bound);
  if (!passed.every((bound) => bound === undefined || isPast(bound))) return where;
  return { ...where, [field]: direction === 'asc' ? { ...below, gte: from } : { ...above, lte: from } };
}

/**
 * The statements whose rows (order value, id, document), one after another, make the page: rows with the order field
 * and rows without it are asked for apart, because a condition that covers both is one that no index serves.
 */
export function pageStatements(collection: string, query: PageQuery, after: Cursor | null): Statement[] {
  const field = query.orderBy ?? 'createdAt';
  const order = expression(field);
  const where = whereClause(beyond(query, field, after));
  const ascending = query.direction === 'asc';
  const [past, word] = ascending ? ['>', 'ASC'] : ['<', 'DESC'];
  const select = `SELECT ${order}, id, doc FROM ${tableOf(collection)} WHERE (${where.sql}) AND`;
  const limit = query.pageSize + 1;

  const present = (): Statement => {
    const tail = `ORDER BY ${order} ${word}, id ${word} LIMIT ?`;
    if (!after || after.value === null) return [`${select} ${order} IS NOT NULL ${tail}`, ...where.parameters, limit];
    const value = typeof after.value === 'boolean' ? Number(after.value) : after.value;
    const from = `${order} ${past}= ? AND (${order} ${past} ? OR id ${past} ?)`;
    return [`${select} ${from} ${tail}`, ...where.parameters, value, value, after.id, limit];
  };
  const absent = (): Statement => {
    const tail = `ORDER BY id ${word} LIMIT ?`;
    if (after?.value !== null) return [`${select} ${order} IS NULL ${tail}`, ...where.parameters, limit];
    return [`${select} ${order} IS NULL AND id ${past} ? ${tail}`, ...where.parameters, after.id, limit];
  };

  if (isColumn(field)) return [present()];
  if (ascending) return after && after.value !== null ? [present()] : [absent(), present()];
  return after && after.value === null ? [absent()] : [present(), absent()];
}
