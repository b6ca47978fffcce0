import { existsSync } from 'node:fs';
import type http from 'node:http';
import cookie from '@fastify/cookie';
import helmet from '@fastify/helmet';
import rateLimit from '@fastify/rate-limit';
import fastifyStatic from '@fastify/static';
import swagger from '@fastify/swagger';
import swaggerUi from '@fastify/swagger-ui';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import fastify, { type FastifyReply, type FastifyRequest } from 'fastify';
import { NodeError } from '../errors.ts';
import { renderMetrics } from '../metrics/metrics.ts';
import type { BlocktreeNode } from '../node.ts';
import { Access } from './access.ts';
import { authorise, SESSION_COOKIE } from './authorise.ts';
import type { Console } from './console.ts';
import { Feed } from './feed.ts';
import { feedEvents } from './feed-sources.ts';
import { Idempotency } from './idempotency.ts';
import { createListener, refuseConnection, type TlsIdentity } from './listener.ts';
import { ApiError, problem, problemOf } from './problem.ts';
import { RouteTable } from './route-table.ts';
import { accessRoutes } from './routes/access.ts';
import { fileRoutes } from './routes/files.ts';
import { issuerRoutes } from './routes/issuer.ts';
import { ledgerRoutes } from './routes/ledger.ts';
import { nodeRoutes } from './routes/nodes.ts';
import { outlookRoutes } from './routes/outlook.ts';
import { ownerRoutes } from './routes/owner.ts';
import { proofRoutes } from './routes/proofs.ts';
import { seatRoutes } from './routes/seat.ts';
import { statusRoutes } from './routes/status.ts';
import { tpmRoutes } from './routes/tpm.ts';
import { Problem } from './schema/basics.ts';
import { FileHealth } from './schema/files.ts';
import { endLingering, hasBody, SLOWNESS_BOUNDS, type SlownessBounds, steadyBody } from './slow-clients.ts';
import { reachableHost, tlsIdentity } from './tls-identity.ts';
import { validatorCompiler } from './validation.ts';

/** The console: REST API and dashboard of one node. */

const JSON_BYTES_MAX = 262_144;
const PATH_CHARS_MAX = 4_096;
const REQUESTS_PER_MINUTE = 6_000;
const BASE = '/api/v1';

export interface RunningConsole {
  readonly url: string;
  /** An address that logs one browser in, once. */
  loginUrl(): string;
  close(): Promise<void>;
}

export interface ConsoleOptions {
  /** The built pages; without them only the API is served. */
  readonly dashboardFolder?: string | undefined;
  readonly tls?: TlsIdentity | undefined;
  readonly bounds?: SlownessBounds;
}

/** Builds the server with all routes; `listen` is separate, so that the OpenAPI document can be written without a network. */
export async function buildConsole(
  node: BlocktreeNode,
  access: Access,
  { dashboardFolder, tls, bounds = SLOWNESS_BOUNDS }: ConsoleOptions = {},
): Promise<Console> {
  const app: Console = fastify({
    logger: false,
    bodyLimit: JSON_BYTES_MAX,
    routerOptions: { maxParamLength: PATH_CHARS_MAX },
    forceCloseConnections: true,
    serverFactory: (handler) => createListener(handler as http.RequestListener, bounds, tls),
    clientErrorHandler: refuseConnection,
    frameworkErrors: (error, request, reply) => answerProblem(node, error, request, reply),
  }).withTypeProvider<TypeBoxTypeProvider>();
  app.setValidatorCompiler(validatorCompiler);
  const feed = new Feed();
  app.decorate('feed', feed);
  const routeTable = new RouteTable(app, BASE, (url) => url.startsWith(`${BASE}/docs`));
  app.decorate('routeTable', routeTable);
  const stopFeeding = feedEvents(node, feed);
  const stopWatching = access.onChange(() => feed.endLoggedOut());
  app.addHook('onClose', async () => {
    stopFeeding();
    stopWatching();
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
        // Answered where the content of a file is, so no route can name it as its own.
        schemas: { FileHealth: { ...FileHealth } },
        securitySchemes: {
          bearer: { type: 'http', scheme: 'bearer' },
          session: { type: 'apiKey', in: 'cookie', name: SESSION_COOKIE },
        },
      },
    },
  });

  app.setErrorHandler((error, request, reply) => answerProblem(node, error, request, reply));
  authorise(app, access, node.options.settings['console.host']);
  app.addHook('preParsing', async (request, _, payload) =>
    hasBody(request.raw) ? steadyBody(request.raw, bounds) : payload,
  );
  app.addHook('onResponse', async (request) => endLingering(request.raw, bounds));

  const idempotency = new Idempotency(node.store);
  app.addHook('preHandler', async (request, reply) => {
    if (request.routeOptions.config.idempotent === true) await idempotency.before(request, reply);
  });
  app.addHook('onSend', async (request, reply, payload) => {
    if (request.routeOptions.config.idempotent === true && typeof payload === 'string')
      await idempotency.after(request, reply, payload);
  });

  const sendMetrics = async (_: FastifyRequest, reply: FastifyReply) =>
    reply.type('text/plain; version=0.0.4').send(await renderMetrics(node));
  const hidden = { schema: { hide: true } };
  const metrics = { ...hidden, config: { role: 'viewer' as const } };
  const document = { ...hidden, config: { role: 'anybody' as const } };
  await app.register(
    async (api) => {
      const routes = api as unknown as Console;
      routes.addHook('onRoute', (route) => {
        if (route.schema === undefined) return;
        const isOpen = route.config?.role === 'anybody';
        Object.assign(route.schema, isOpen ? {} : { security: [{ bearer: [] }, { session: [] }] });
        const { response } = route.schema as { response?: Record<string, unknown> };
        if (response !== undefined) Object.assign(response, { '4xx': Problem, '5xx': Problem });
      });
      statusRoutes(routes, node);
      ledgerRoutes(routes, node);
      nodeRoutes(routes, node);
      tpmRoutes(routes, node);
      proofRoutes(routes, node);
      seatRoutes(routes, node);
      issuerRoutes(routes, node);
      ownerRoutes(routes, node);
      outlookRoutes(routes, node);
      accessRoutes(routes, access, SESSION_COOKIE, tls !== undefined);
      await routes.register(async (plugin) => fileRoutes(plugin as unknown as Console, node));
      routes.get('/metrics', metrics, sendMetrics);
      routes.get('/openapi.yaml', document, async (_, reply) =>
        reply.type('application/yaml').send(app.swagger({ yaml: true })),
      );
    },
    { prefix: BASE },
  );
  await app.register(swaggerUi, { routePrefix: `${BASE}/docs`, staticCSP: true });
  app.get('/metrics', metrics, sendMetrics);
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
    const path = request.url.split('?')[0] as string;
    const methods = routeTable.methodsOf(path);
    if (methods.length > 0) {
      reply.header('allow', methods.join(', '));
      throw new ApiError(405, 'method-not-allowed', `expected ${methods.join(' or ')} at ${path}`);
    }
    const wantsPage = request.method === 'GET' && !path.startsWith('/api/') && hasPages;
    if (wantsPage) return reply.header('cache-control', 'no-cache').sendFile('index.html');
    throw new ApiError(404, 'not-found', `there is nothing at ${request.method} ${path}; see ${BASE}/docs`);
  });
  return app;
}

function answerProblem(
  node: BlocktreeNode,
  error: unknown,
  request: FastifyRequest,
  reply: FastifyReply,
): void {
  const known = problemOf(error);
  if (known === undefined)
    node.logger.error({ err: error, path: request.routeOptions.url }, 'a request failed');
  const answer = known ?? problem(500, 'internal', 'the node could not answer; its log says why');
  void reply.code(answer.status).type('application/problem+json').send(JSON.stringify(answer));
}

/** Opens the console of a node. Throws NodeError `address-in-use`, or `bad-configuration` off loopback without TLS. */
export async function openConsole(
  node: BlocktreeNode,
  dataFolder: string,
  dashboardFolder: string | undefined,
): Promise<RunningConsole> {
  const { settings } = node.options;
  const tls = tlsIdentity(dataFolder, settings);
  const access = await Access.open(dataFolder);
  const app = await buildConsole(node, access, { dashboardFolder, tls });
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
  const port = typeof address === 'object' ? address.port : settings['console.port'];
  const url = `${tls === undefined ? 'http' : 'https'}://${reachableHost(host)}:${port}`;
  return { url, loginUrl: () => `${url}/login#${access.loginCode()}`, close: () => app.close() };
}
