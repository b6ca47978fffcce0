import type { IncomingMessage, ServerResponse } from 'node:http';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import type { FastifyBaseLogger, FastifyInstance, RawServerDefault } from 'fastify';
import type { Feed } from './feed.ts';
import type { RouteTable } from './route-table.ts';
import type { RoleName } from './schema/access.ts';

/** The server as routes see it: typed by its schemas, with what the console adds to requests and routes. */

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Who may call the route. The server refuses to start with a route below the API that does not say. */
    role?: RoleName | 'anybody';
    /** Spends: an `Idempotency-Key` makes a repetition harmless. */
    idempotent?: boolean;
  }
  interface FastifyRequest {
    role: RoleName | undefined;
    sessionSecret: string | undefined;
    /** Whether the login of this request is still good; absent without one. */
    isLoggedIn: (() => boolean) | undefined;
  }
  interface FastifyInstance {
    feed: Feed;
    routeTable: RouteTable;
  }
}

export type Console = FastifyInstance<
  RawServerDefault,
  IncomingMessage,
  ServerResponse,
  FastifyBaseLogger,
  TypeBoxTypeProvider
>;
