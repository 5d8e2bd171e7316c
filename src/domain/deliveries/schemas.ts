/** The delivery on the REST wire: a trip with what is delivered. What is shown of it depends on who asks. */
import { type Static, Type } from 'typebox';
import { DELIVERY_ID } from '../examples.ts';
import { Closed, EpochMs, Id, OneOf, pageOf, VehicleClassSchema } from '../schemas.ts';
import { PlaceSchema, SearchSchema, TripRequestSchema, TripSchema, toTripWire, tripExample } from '../trips/schemas.ts';
import type { Trip } from '../trips/trip.ts';
import { codesLeft, proofKinds, proofsTaken, type Sight, WEIGHT_MAX_G } from './rules.ts';

const ContactSchema = Type.Object(
  {
    name: Type.String({ minLength: 1, maxLength: 100 }),
    phone: Type.String({ pattern: '^\\+[1-9][0-9]{6,14}$', description: 'E.164' }),
  },
  { ...Closed, title: 'Contact' },
);

const ParcelSchema = Type.Object(
  {
    description: Type.String({ minLength: 1, maxLength: 200 }),
    weight_g: Type.Integer({ minimum: 1, maximum: WEIGHT_MAX_G, description: 'grams' }),
    fragile: Type.Optional(Type.Boolean()),
  },
  { ...Closed, title: 'Parcel' },
);

const AcceptsSchema = Type.Array(OneOf(proofKinds), {
  minItems: 1,
  maxItems: proofKinds.length,
  uniqueItems: true,
  description: 'what proves the delivery: a code that the sender tells to whoever takes the parcel, or a photo',
});

const { quote_id, city, rider_id, note } = TripRequestSchema.properties;

export const DeliveryRequestSchema = Type.Object(
  {
    pickup: PlaceSchema,
    pickup_contact: ContactSchema,
    dropoff: PlaceSchema,
    dropoff_contact: ContactSchema,
    parcel: ParcelSchema,
    accepts: Type.Optional(AcceptsSchema),
    vehicle_class: Type.Optional(VehicleClassSchema),
    city,
    rider_id,
    note,
    quote_id,
  },
  {
    ...Closed,
    title: 'DeliveryRequest',
    examples: [
      {
        pickup: { lat: 40.7484, lng: -73.9857 },
        pickup_contact: { name: 'Ada', phone: '+12125550100' },
        dropoff: { lat: 40.7061, lng: -74.0087 },
        dropoff_contact: { name: 'Grace', phone: '+12125550101' },
        parcel: { description: 'books', weight_g: 4200 },
        accepts: ['code', 'photo'],
      },
    ],
  },
);

export const ProofSchema = Type.Object(
  {
    code: Type.Optional(Type.String({ pattern: '^[0-9]{6}$', description: 'as whoever takes the parcel says it' })),
    photo_ref: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 512,
        description: 'where the photo is kept, by the name that the client gave it',
      }),
    ),
  },
  { ...Closed, minProperties: 1, maxProperties: 1, title: 'DeliveryProof', examples: [{ code: '042917' }] },
);

export const DeliverySchema = Type.Object(
  {
    ...TripSchema.properties,
    kind: Type.Literal('delivery'),
    pickup_contact: Type.Optional(ContactSchema),
    dropoff_contact: Type.Optional(ContactSchema),
    parcel: ParcelSchema,
    accepts: AcceptsSchema,
    takes: Type.Array(OneOf(proofKinds), {
      description: 'what proves it now: after too many wrong codes only a photo',
    }),
    code: Type.Optional(Type.String({ description: 'for the sender alone' })),
    codes_left: Type.Integer({ minimum: 0 }),
    proof: Type.Optional(
      Type.Object({ kind: OneOf(proofKinds), photo_ref: Type.Optional(Type.String()), at: EpochMs }),
    ),
  },
  {
    title: 'Delivery',
    description: 'The delivery as it is now; contacts are for the sender, the assigned porter and operators',
    examples: [
      {
        ...tripExample,
        id: DELIVERY_ID,
        kind: 'delivery',
        pickup_contact: { name: 'Ada', phone: '+12125550100' },
        dropoff_contact: { name: 'Grace', phone: '+12125550101' },
        parcel: { description: 'books', weight_g: 4200 },
        accepts: ['code', 'photo'],
        takes: ['code', 'photo'],
        code: '042917',
        codes_left: 5,
      },
    ],
  },
);

export const DeliveryPageSchema = pageOf(DeliverySchema, 'DeliveryPage');

export const DeliveryQuerySchema = Type.Object(SearchSchema, Closed);

export const DeliveryParamsSchema = Type.Object({ delivery_id: Id });

export function toDeliveryWire(trip: Trip, sight: Sight): Static<typeof DeliverySchema> {
  const delivery = trip.delivery!;
  const { pickupContact, dropoffContact, parcel, accepts, code, proof } = delivery;
  const { weightG, ...rest } = parcel;
  return {
    ...toTripWire(trip),
    kind: 'delivery',
    ...(sight.contacts ? { pickup_contact: pickupContact, dropoff_contact: dropoffContact } : {}),
    parcel: { ...rest, weight_g: weightG },
    accepts,
    takes: proofsTaken(delivery),
    ...(sight.code ? { code } : {}),
    codes_left: codesLeft(delivery),
    ...(proof
      ? { proof: { kind: proof.kind, at: proof.at, ...(proof.photoRef ? { photo_ref: proof.photoRef } : {}) } }
      : {}),
  };
}
