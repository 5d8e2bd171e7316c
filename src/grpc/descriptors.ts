/**
 * The descriptors that server reflection hands out. Those of our own contract are the compiler's. Of the health service there
 * are only proto-loader's, which names the entry type of a map after the field alone, where descriptor.proto wants
 * `<Field>Entry`; strict clients (grpcurl, evans) refuse such a file.
 */
import { fromBinary, toBinary } from '@bufbuild/protobuf';
import { type DescriptorProto, FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt';
import { loadSync, type PackageDefinition } from '@grpc/proto-loader';
import { protoPath as healthProto } from 'grpc-health-check';
import { file_ride_v1_ride } from '../realtime/generated/ride/v1/ride_pb.js';

/** `statuses` → `StatusesEntry` (descriptor.proto, MessageOptions.map_entry). */
function entryName(field: string): string {
  return `${field.replace(/(^|_)([a-z0-9])/g, (_match, _bar, letter: string) => letter.toUpperCase())}Entry`;
}

function nameMapEntries(message: DescriptorProto): void {
  for (const nested of message.nestedType) {
    nameMapEntries(nested);
    if (!nested.options?.mapEntry) continue;
    const field = message.field.find((f) => f.typeName.split('.').at(-1) === nested.name);
    if (!field) continue;
    const name = entryName(field.name);
    field.typeName = field.typeName.replace(/[^.]+$/, name);
    nested.name = name;
  }
}

function repaired(file: Buffer): Buffer {
  const descriptor = fromBinary(FileDescriptorProtoSchema, file);
  descriptor.messageType.forEach(nameMapEntries);
  return Buffer.from(toBinary(FileDescriptorProtoSchema, descriptor));
}

function healthFiles(): Buffer[] {
  const files = new Set<Buffer>();
  for (const entry of Object.values(loadSync([healthProto], { keepCase: true }))) {
    const { fileDescriptorProtos } = entry;
    if (Array.isArray(fileDescriptorProtos)) for (const file of fileDescriptorProtos) files.add(file);
  }
  return [...files].map(repaired);
}

/** The ride and health services, as @grpc/reflection takes them: it reads nothing but the files. */
export function reflectedServices(): PackageDefinition {
  const ride = Buffer.from(toBinary(FileDescriptorProtoSchema, file_ride_v1_ride.proto));
  return { services: { fileDescriptorProtos: [ride, ...healthFiles()] } } as unknown as PackageDefinition;
}
