/** For operators: who follows a topic now. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { Type } from 'typebox';
import { after, RIDER_ID } from '../domain/examples.ts';
import { topic } from '../domain/names.ts';
import { EpochMs, Named, PageQuerySchema, pageOf, paging } from '../domain/schemas.ts';
import type { MemberPage } from '../realtime/members.ts';
import { problems } from './problems.ts';
import { requireRole } from './roles.ts';

export interface TopicRouteOptions {
  members(topic: string, pageSize: number, pageToken?: string): Promise<MemberPage>;
}

const Member = Type.Object(
  {
    session_id: Type.String(),
    user_id: Type.String(),
    role: Type.String(),
    namespace: Type.String({ description: 'ws, client, porter, admin, grpc or sse' }),
    node_id: Type.String(),
    connected_at_ms: EpochMs,
  },
  {
    title: 'TopicMember',
    description: 'A session that follows a topic',
    examples: [
      {
        session_id: 'ses_nyc_01jd000000000000000000000d',
        user_id: RIDER_ID,
        role: 'rider',
        namespace: 'client',
        node_id: 'node-1',
        connected_at_ms: after(-30),
      },
    ],
  },
);

export const topicRoutes: FastifyPluginAsyncTypebox<TopicRouteOptions> = async (app, { members }) => {
  app.get(
    '/topics/:topic/members',
    {
      schema: {
        operationId: 'listTopicMembers',
        summary: 'Who follows a topic',
        description:
          'The sessions of all nodes that follow a topic now, by node and session id. A session that comes or goes between two pages may be missing or be gone; none is listed twice.',
        tags: ['operations'],
        security: [{ bearer: [] }],
        params: Type.Object({ topic: Named(topic) }),
        querystring: Type.Object(PageQuerySchema, { additionalProperties: false }),
        response: { 200: pageOf(Member, 'TopicMemberPage'), ...problems(400, 401, 403, 429, 503) },
      },
    },
    async ({ principal, params, query }) => {
      requireRole(principal, 'admin', 'dispatcher');
      const { pageSize, pageToken } = paging(query);
      const page = await members(params.topic, pageSize, pageToken);
      return {
        items: page.items.map((m) => ({
          session_id: m.sessionId,
          user_id: m.userId,
          role: m.role,
          namespace: m.namespace,
          node_id: m.nodeId,
          connected_at_ms: m.connectedAt,
        })),
        next_page_token: page.nextPageToken,
      };
    },
  );
};
