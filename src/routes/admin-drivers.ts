/** A driver as operators see him: his document, where he was last, and what his device said of itself. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { Type } from 'typebox';
import { DriverSchema, driverExample, toDriverWire } from '../domain/drivers/schemas.ts';
import type { Drivers } from '../domain/drivers/service.ts';
import { PositionSchema, stalePositionExample, toPositionWire } from '../domain/locations/schemas.ts';
import type { Locations } from '../domain/locations/service.ts';
import { Id, Nullable } from '../domain/schemas.ts';
import { TelematicsSchema, telematicsExample, toTelematicsWire } from '../domain/telematics/schemas.ts';
import type { TelematicsDesk } from '../domain/telematics/service.ts';
import { notFound } from '../errors.ts';
import type { Clock } from '../ports/clock.ts';
import { problems } from './problems.ts';
import { requireRole } from './roles.ts';

export interface AdminDriverOptions {
  drivers: Pick<Drivers, 'get'>;
  locations: Pick<Locations, 'ofDriver'>;
  telematics: Pick<TelematicsDesk, 'of'>;
  clock: Clock;
}

const DriverSeenSchema = Type.Object(
  {
    driver: DriverSchema,
    position: Nullable(PositionSchema),
    telematics: Nullable(TelematicsSchema),
  },
  {
    title: 'DriverSeen',
    description: 'A driver, his last position and what his device said last; null what is not known any more',
    examples: [
      {
        driver: driverExample,
        position: stalePositionExample,
        telematics: telematicsExample,
      },
    ],
  },
);

export const adminDriverRoutes: FastifyPluginAsyncTypebox<AdminDriverOptions> = async (app, options) => {
  app.addHook('preParsing', async ({ principal }) => {
    requireRole(principal, 'admin', 'dispatcher');
  });

  app.get(
    '/drivers/:driver_id',
    {
      schema: {
        operationId: 'seeDriver',
        summary: 'A driver, where he is and how his device is',
        description: 'For admins and dispatchers.',
        tags: ['operations'],
        security: [{ bearer: [] }],
        params: Type.Object({ driver_id: Id }),
        response: { 200: DriverSeenSchema, ...problems(400, 401, 403, 404, 429, 503) },
      },
    },
    async ({ params: { driver_id: driverId } }) => {
      const { drivers, locations, telematics, clock } = options;
      const [driver, seen, said] = await Promise.all([
        drivers.get(driverId),
        locations.ofDriver(driverId),
        telematics.of(driverId),
      ]);
      if (!driver) throw notFound('driver', driverId);
      return {
        driver: toDriverWire(driver),
        position: seen && toPositionWire({ ...seen.position, ...seen }),
        telematics: said && toTelematicsWire(said, clock.now()),
      };
    },
  );
};
