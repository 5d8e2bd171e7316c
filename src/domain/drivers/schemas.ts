/** The driver on the REST wire. */
import { type Static, Type } from 'typebox';
import { after, DRIVER_ID } from '../examples.ts';
import { CitySchema, Closed, EpochMs, OneOf, VehicleClassSchema } from '../schemas.ts';
import { type Driver, driverStatuses } from './driver.ts';

const Status = OneOf(driverStatuses);

export const DriverStatusSchema = Type.Object(
  { status: Status, vehicle_class: Type.Optional(VehicleClassSchema), city: Type.Optional(CitySchema) },
  { ...Closed, title: 'DriverStatus', examples: [{ status: 'looking', vehicle_class: 'standard' }] },
);

export const driverExample = {
  id: DRIVER_ID,
  status: 'looking',
  city: 'nyc',
  vehicle_class: 'standard',
  active_trip_id: null,
  version: 4,
  updated_at: after(-60),
};

export const DriverSchema = Type.Object(
  {
    id: Type.String(),
    status: Status,
    city: Type.String(),
    vehicle_class: VehicleClassSchema,
    active_trip_id: Type.Union([Type.String(), Type.Null()]),
    version: Type.Integer({ minimum: 1 }),
    updated_at: EpochMs,
  },
  {
    title: 'Driver',
    description: 'The driver as he is now',
    examples: [driverExample],
  },
);

export const toDriverWire = (d: Driver): Static<typeof DriverSchema> => ({
  id: d.id,
  status: d.status,
  city: d.city,
  vehicle_class: d.vehicleClass,
  active_trip_id: d.activeTripId,
  version: d.version,
  updated_at: d.updatedAt,
});
