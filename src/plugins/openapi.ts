/** OpenAPI 3.1 from the routes' own schemas, shown at /docs and written to openapi/openapi.yaml by script/contracts. */
import swagger from '@fastify/swagger';
import swaggerUi from '@fastify/swagger-ui';
import type { FastifyInstance } from 'fastify';
import fp from 'fastify-plugin';

export const openapiPlugin = fp(
  async (app: FastifyInstance) => {
    await app.register(swagger, {
      openapi: {
        openapi: '3.1.0',
        info: {
          title: 'Ridestream',
          version: '1.0.0',
          description:
            'REST API of Ridestream. Errors are RFC 9457 problem documents whose `code` is one of docs/errors.md.',
          license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
        },
        servers: [{ url: '/', description: 'this server' }],
        tags: [
          { name: 'auth', description: 'Sign-in' },
          { name: 'trips', description: 'On-demand rides' },
          { name: 'drivers', description: 'Drivers and their locations' },
          { name: 'operations', description: 'Probes and statistics' },
        ],
        components: {
          securitySchemes: {
            bearer: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' },
            query_token: {
              type: 'apiKey',
              in: 'query',
              name: 'access_token',
              description: 'The same token, for clients that can set no header (EventSource)',
            },
          },
        },
      },
    });
    await app.register(swaggerUi, { routePrefix: '/docs' });
  },
  { name: 'openapi' },
);
