/**
 * JSON Schemas (draft 7, as AsyncAPI has them) of the messages, from the descriptors that buf generated and the comments of
 * proto/ride/v1/ride.proto: the protobuf JSON that travels in text frames.
 */
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { type DescEnum, type DescField, type DescMessage, fromBinary, ScalarType } from '@bufbuild/protobuf';
import { type FileDescriptorProto, FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import { PositionInputSchema } from '../../src/domain/locations/schemas.ts';

export type Json = Record<string, unknown>;

/** Who writes the message: readers are to be lenient and the server is strict. */
export type Writer = 'client' | 'server';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
/** Field numbers within descriptor.proto, of which the paths of comments are made. */
const MESSAGES = 4;
const ENUMS = 5;
const MEMBERS = 2;

/** `ride.v1.Ack` and `ride.v1.Ack.accepted` → the comment above it, on one line. */
export type Comments = ReadonlyMap<string, string>;

/** The name of what a comment stands above; undefined for what is neither a message, an enum, nor a member of one. */
function nameAt(file: FileDescriptorProto, [kind, at, members, member]: readonly number[]): string | undefined {
  const outer = kind === MESSAGES ? file.messageType[at!] : kind === ENUMS ? file.enumType[at!] : undefined;
  if (!outer) return undefined;
  const name = `${file.package}.${outer.name}`;
  if (members === undefined) return name;
  if (members !== MEMBERS) return undefined;
  const inner = 'field' in outer ? outer.field[member!] : outer.value[member!];
  return `${name}.${inner!.name}`;
}

/** Reads the comments with buf: the generated code has none at run time. */
export function readComments(): Comments {
  const image = execFileSync(`${ROOT}node_modules/.bin/buf`, ['build', '-o', '-'], { cwd: ROOT });
  const comments = new Map<string, string>();
  for (const file of fromBinary(FileDescriptorSetSchema, image).file) {
    for (const { path, leadingComments } of file.sourceCodeInfo?.location ?? []) {
      const name = nameAt(file, path);
      if (name && leadingComments) comments.set(name, leadingComments.trim().replace(/\s*\n\s*/g, ' '));
    }
  }
  return comments;
}

/** Bounds and required fields that the domain asks for, by message: the same schema checks positions on REST. */
const RULES: Record<string, { properties: object; required?: readonly string[] }> = {
  'ride.v1.LocationUpdate': PositionInputSchema,
};

function boundsOf(message: DescMessage, field: DescField): Json {
  const rule = (RULES[message.typeName]?.properties as Record<string, Json> | undefined)?.[field.name];
  const bounds = Object.entries(rule ?? {}).filter(([key]) => key === 'minimum' || key === 'maximum');
  return field.fieldKind === 'scalar' && field.scalar === ScalarType.DOUBLE ? Object.fromEntries(bounds) : {};
}

function scalarSchema(scalar: ScalarType, writer: Writer): Json {
  switch (scalar) {
    case ScalarType.STRING:
      return { type: 'string' };
    case ScalarType.BOOL:
      return { type: 'boolean' };
    case ScalarType.DOUBLE:
      return { type: 'number' };
    case ScalarType.INT32:
      return { type: 'integer' };
    case ScalarType.UINT32:
      return { type: 'integer', minimum: 0 };
    // 64-bit integers travel as texts; from clients numbers are understood too.
    case ScalarType.INT64:
      return writer === 'server'
        ? { type: 'string', pattern: '^-?[0-9]+$' }
        : { type: ['string', 'integer'], pattern: '^-?[0-9]+$' };
    case ScalarType.UINT64:
      return writer === 'server'
        ? { type: 'string', pattern: '^[0-9]+$' }
        : { type: ['string', 'integer'], pattern: '^[0-9]+$', minimum: 0 };
    default:
      throw new Error(`no JSON schema for scalar ${ScalarType[scalar]}`);
  }
}

const enumSchema = (desc: DescEnum): Json => ({ type: 'string', enum: desc.values.map(({ name }) => name) });
const refTo = (message: DescMessage): Json => ({ $ref: `#/components/schemas/${message.name}` });

function typeOf(field: DescField, writer: Writer): Json {
  switch (field.fieldKind) {
    case 'scalar':
      return scalarSchema(field.scalar, writer);
    case 'enum':
      return enumSchema(field.enum);
    case 'message':
      return refTo(field.message);
    case 'list':
      if (field.listKind === 'scalar') return { type: 'array', items: scalarSchema(field.scalar, writer) };
      if (field.listKind === 'message') return { type: 'array', items: refTo(field.message) };
      break;
    case 'map':
      if (field.mapKind === 'scalar')
        return { type: 'object', additionalProperties: scalarSchema(field.scalar, writer) };
  }
  throw new Error(`no JSON schema for ${field}`);
}

/** @throws Error for a field that the proto file says nothing about */
export function fieldSchema(message: DescMessage, field: DescField, writer: Writer, comments: Comments): Json {
  const description = comments.get(`${message.typeName}.${field.name}`);
  if (!description) throw new Error(`${message.typeName}.${field.name} has no comment in the proto file`);
  const type = { ...typeOf(field, writer), ...boundsOf(message, field) };
  // Beside a $ref nothing else counts in draft 7.
  return '$ref' in type ? { description, allOf: [type] } : { ...type, description };
}

/** What has its default value is left out, so the wire asks for no field; what the domain asks for is required. */
export function messageSchema(message: DescMessage, writer: Writer, comments: Comments): Json {
  const required = RULES[message.typeName]?.required;
  return {
    type: 'object',
    description: comments.get(message.typeName),
    properties: Object.fromEntries(
      message.fields.map((field) => [field.name, fieldSchema(message, field, writer, comments)]),
    ),
    ...(required ? { required: [...required] } : {}),
    // The server refuses what it does not know; a client has to take it.
    additionalProperties: writer === 'server',
  };
}

/** Messages that `root` is made of, each once, by name. */
export function messagesOf(root: DescMessage, seen = new Map<string, DescMessage>()): Map<string, DescMessage> {
  for (const { message } of root.fields) {
    if (!message || seen.has(message.name)) continue;
    seen.set(message.name, message);
    messagesOf(message, seen);
  }
  return seen;
}
