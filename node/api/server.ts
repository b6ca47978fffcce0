import { existsSync } from 'node:fs';
import cookie from '@fastify/cookie';
import helmet from '@fastify/helmet';
import rateLimit from '@fastify/rate-limit';
import fastifyStatic from '@fastify/static';
import swagger from '@fastify/swagger';
import swaggerUi from '@fastify/swagger-ui';
import { type TypeBoxTypeProvider, TypeBoxValidatorCompiler } from '@fastify/type-provider-typebox';
import fastify, { type FastifyRequest } from 'fastify';
import { NodeError } from '../errors.ts';
import { renderMetrics } from '../metrics/metrics.ts';
import type { BlocktreeNode } from '../node.ts';
import { Access, allows } from './access.ts';
import type { Console } from './console.ts';
import { Feed } from './feed.ts';
import { feedEvents } from './feed-sources.ts';
import { Idempotency } from './idempotency.ts';
import { ApiError, problemOf } from './problem.ts';
import { accessRoutes } from './routes/access.ts';
import { ledgerRoutes } from './routes/ledger.ts';
import { ownerRoutes } from './routes/owner.ts';
import { statusRoutes } from './routes/status.ts';
import { Problem } from './schema.ts';

/** The console: REST API and dashboard of one node. */

const SESSION_COOKIE = 'blocktree_session';
const JSON_BYTES_MAX = 262_144;
const REQUESTS_PER_MINUTE = 6_000;
const BASE = '/api/v1';

export interface RunningConsole {
  readonly url: string;
  /** An address that logs one browser in, once. */
  loginUrl(): string;
  close(): Promise<void>;
}

/** Builds the server with all routes; `listen` is separate, so that the OpenAPI document can be written without a network. */
export async function buildConsole(
  node: BlocktreeNode,
  access: Access,
  dashboardFolder: string | undefined,
): Promise<Console> {
  const app: Console = fastify({
    logger: false,
    bodyLimit: JSON_BYTES_MAX,
    routerOptions: { maxParamLength: 4_096 },
    requestTimeout: 0,
    connectionTimeout: 0,
    forceCloseConnections: true,
  }).withTypeProvider<TypeBoxTypeProvider>();
  app.setValidatorCompiler(TypeBoxValidatorCompiler);
  app.server.headersTimeout = 10_000;
  const feed = new Feed();
  app.decorate('feed', feed);
  app.decorateRequest('role', undefined);
  app.decorateRequest('sessionSecret', undefined);
  const stopFeeding = feedEvents(node, feed);
  app.addHook('onClose', async () => {
    stopFeeding();
    feed.close();
  });

  await app.register(helmet, {
    contentSecurityPolicy: {
      directives: {
        defaultSrc: ["'self'"],
        scriptSrc: ["'self'"],
        styleSrc: ["'self'", "'unsafe-inline'"],
        imgSrc: ["'self'", 'data:', 'blob:'],
        connectSrc: ["'self'"],
        objectSrc: ["'none'"],
        frameAncestors: ["'none'"],
        upgradeInsecureRequests: null,
      },
    },
    hsts: false,
  });
  await app.register(cookie);
  await app.register(rateLimit, { max: REQUESTS_PER_MINUTE, timeWindow: 60_000 });
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Blocktree node',
        version: '1',
        description: 'Reading the ledger needs no login; everything else does.',
      },
      components: {
        securitySchemes: {
          bearer: { type: 'http', scheme: 'bearer' },
          session: { type: 'apiKey', in: 'cookie', name: SESSION_COOKIE },
        },
      },
    },
  });

  // Files go through as streams; JSON is parsed as usual.
  app.addContentTypeParser('*', (_, payload, done) => done(null, payload));
  app.setErrorHandler((error, request, reply) => {
    const known = problemOf(error);
    if (known === undefined)
      node.logger.error({ err: error, path: request.routeOptions.url }, 'a request failed');
    const problem = known ?? {
      type: 'urn:blocktree:internal',
      title: 'internal',
      status: 500,
      detail: 'the node could not answer; its log says why',
      code: 'internal',
    };
    void reply.code(problem.status).type('application/problem+json').send(JSON.stringify(problem));
  });

  app.addHook('onRequest', async (request) => {
    checkHost(request, node);
    const bearer = /^Bearer ([\w-]{20,100})$/.exec(request.headers.authorization ?? '')?.[1];
    const session = request.cookies[SESSION_COOKIE];
    request.sessionSecret = session;
    request.role =
      bearer !== undefined
        ? access.roleOf(bearer)
        : session !== undefined
          ? access.roleOf(session)
          : undefined;
    const needed = request.routeOptions.config.role;
    if (needed !== undefined && request.role === undefined) {
      throw new ApiError(
        401,
        'not-logged-in',
        'expected a bearer token or a session; "blocktree status" prints where the token is',
      );
    }
    if (needed !== undefined && !allows(request.role, needed))
      throw new ApiError(403, 'not-allowed', `expected the role ${needed}, this is ${request.role}`);
    if (bearer === undefined && session !== undefined && !['GET', 'HEAD'].includes(request.method))
      checkOrigin(request);
  });

  const idempotency = new Idempotency(node.store);
  app.addHook('preHandler', async (request, reply) => {
    if (request.routeOptions.config.idempotent === true) await idempotency.before(request, reply);
  });
  app.addHook('onSend', async (request, reply, payload) => {
    if (request.routeOptions.config.idempotent === true && typeof payload === 'string')
      await idempotency.after(request, reply, payload);
  });

  await app.register(
    async (api) => {
      const routes = api as unknown as Console;
      routes.addHook('onRoute', (route) => {
        if (route.schema === undefined) return;
        const secured = route.config?.role !== undefined;
        Object.assign(route.schema, secured ? { security: [{ bearer: [] }, { session: [] }] } : {});
        const { response } = route.schema as { response?: Record<string, unknown> };
        if (response !== undefined) response['4xx'] = Problem;
      });
      statusRoutes(routes, node);
      ledgerRoutes(routes, node);
      ownerRoutes(routes, node);
      accessRoutes(routes, access, SESSION_COOKIE);
      routes.get('/metrics', { schema: { hide: true } }, async (_, reply) =>
        reply.type('text/plain; version=0.0.4').send(await renderMetrics(node)),
      );
      routes.get('/openapi.yaml', { schema: { hide: true } }, async (_, reply) =>
        reply.type('application/yaml').send(app.swagger({ yaml: true })),
      );
    },
    { prefix: BASE },
  );
  await app.register(swaggerUi, { routePrefix: `${BASE}/docs`, staticCSP: true });
  app.get('/metrics', { schema: { hide: true } }, async (_, reply) =>
    reply.type('text/plain; version=0.0.4').send(await renderMetrics(node)),
  );
  const hasPages = dashboardFolder !== undefined && existsSync(dashboardFolder);
  if (hasPages) {
    await app.register(fastifyStatic, {
      root: dashboardFolder,
      setHeaders: (response, path) => {
        if (path.includes('/assets/'))
          response.header('cache-control', 'public, max-age=31536000, immutable');
        else response.header('cache-control', 'no-cache');
      },
    });
  }
  app.setNotFoundHandler((request, reply) => {
    const wantsPage = request.method === 'GET' && !request.url.startsWith('/api/') && hasPages;
    if (wantsPage) return reply.header('cache-control', 'no-cache').sendFile('index.html');
    throw new ApiError(
      404,
      'not-found',
      `there is nothing at ${request.method} ${request.url.split('?')[0]}; see ${BASE}/docs`,
    );
  });
  return app;
}

/** Opens the console of a node. Throws NodeError `address-in-use`. */
export async function openConsole(
  node: BlocktreeNode,
  dataFolder: string,
  dashboardFolder: string | undefined,
): Promise<RunningConsole> {
  const { settings } = node.options;
  const access = await Access.open(dataFolder);
  const app = await buildConsole(node, access, dashboardFolder);
  const host = settings['console.host'];
  try {
    await app.listen({ host, port: settings['console.port'] });
  } catch (error) {
    await app.close();
    if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
    throw new NodeError(
      'address-in-use',
      `port ${settings['console.port']} on ${host} is busy: stop what uses it or set another with --console-port`,
    );
  }
  const [address] = app.addresses();
  const url = `http://${host}:${typeof address === 'object' ? address.port : settings['console.port']}`;
  return { url, loginUrl: () => `${url}/login#${access.loginCode()}`, close: () => app.close() };
}

/** On loopback only loopback names are answered: another site's name that leads here (DNS rebinding) is not. */
function checkHost(request: FastifyRequest, node: BlocktreeNode): void {
  const bound = node.options.settings['console.host'];
  if (bound !== '127.0.0.1' && bound !== '::1' && bound !== 'localhost') return;
  const name = request.hostname.replace(/:\d+$/, '');
  if (!['127.0.0.1', 'localhost', '[::1]', '::1'].includes(name))
    throw new ApiError(421, 'wrong-host', 'expected a request to 127.0.0.1 or localhost');
}

/** A session is only good for requests of our own pages. */
function checkOrigin(request: FastifyRequest): void {
  const { origin, host } = request.headers;
  if (origin === undefined || origin.replace(/^https?:\/\//, '') !== host)
    throw new ApiError(403, 'wrong-origin', 'expected a request of the dashboard itself');
}
