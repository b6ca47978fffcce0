import { Readable } from 'node:stream';
import { Type as T } from 'typebox';
import { type NodeId, nodeAddress } from '../../../ledger/ids.ts';
import { MarketError } from '../../../market/errors.ts';
import type { Manifest } from '../../../market/files/manifest.ts';
import { isWeak, parseScheme } from '../../../market/files/scheme.ts';
import { storedBytesOf } from '../../../market/renter/manifests.ts';
import type { BlocktreeNode } from '../../node.ts';
import { type ByteRange, isUnchanged, rangeOf } from '../byte-range.ts';
import type { Console } from '../console.ts';
import { pageOf } from '../paging.ts';
import { time } from '../present.ts';
import { PageQuery, page } from '../schema/basics.ts';
import { File, Recovery } from '../schema/files.ts';

const READ_BYTES = 1_048_576;
/** Progress of one upload is told at most this often: it is a picture of now, and not worth more. */
const PROGRESS_MS = 250;

/** The owner's files. Within this plugin a body of any type is content and goes through as a stream. */
export function fileRoutes(app: Console, node: BlocktreeNode): void {
  const { files } = node;
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', (_, payload, done) => done(null, payload));

  const present = (manifest: Manifest) => ({
    name: manifest.name,
    sizeBytes: manifest.sizeBytes,
    createdAt: time(manifest.createdMs),
    sha256: manifest.contentHash,
    redundancy: { ...manifest.scheme, weak: isWeak(manifest.scheme) },
    storedBytes: storedBytesOf(manifest),
    shareOfCost: files.storedBytes === 0 ? 0 : storedBytesOf(manifest) / files.storedBytes,
    health: files.health(manifest),
  });
  const wanted = (name: string): Manifest => {
    const manifest = files.manifest(name);
    if (manifest === undefined) throw new MarketError('not-found', `there is no file "${name}"`);
    return manifest;
  };
  const healthOf = (manifest: Manifest) => {
    const hosts = new Map<NodeId, number>();
    for (const { host } of manifest.slabs.flatMap((slab) => slab.fragments))
      hosts.set(host, (hosts.get(host) ?? 0) + 1);
    return {
      ...files.health(manifest),
      hosts: [...hosts].map(([host, fragments]) => ({
        nodeId: nodeAddress(host),
        fragments,
        alive: files.alive(host),
      })),
    };
  };
  const viewer = { config: { role: 'viewer' as const } };
  const owner = { config: { role: 'owner' as const } };
  const FilesQuery = T.Object({
    ...PageQuery.properties,
    name: T.Optional(T.String({ maxLength: 3_100, description: 'only the file of this name' })),
  });
  const fileParams = T.Object({ '*': T.String({ maxLength: 3_100 }) });

  app.get(
    '/files',
    { ...viewer, schema: { tags: ['files'], querystring: FilesQuery, response: { 200: page(File) } } },
    async (request) => {
      const { name: only } = request.query;
      if (only !== undefined) {
        const manifest = files.manifest(only);
        return { items: manifest === undefined ? [] : [present(manifest)], nextCursor: null };
      }
      return pageOf(
        request.query,
        /^[\w-]{1,4000}$/,
        (after, limit) => files.page(after && Buffer.from(after, 'base64url').toString('utf8'), limit),
        ({ name }) => Buffer.from(name, 'utf8').toString('base64url'),
        present,
      );
    },
  );

  app.post(
    '/recovery',
    {
      ...owner,
      schema: {
        tags: ['files'],
        description:
          'Finds the files of this account again with what its hosts have, as on a new machine. Files that are here stay as they are.',
        response: { 200: Recovery },
      },
    },
    async () => {
      const { added, silent, ...counts } = await files.recover();
      return { ...counts, added: added.length, silent: silent.map(nodeAddress) };
    },
  );

  app.put(
    '/files/*',
    {
      ...owner,
      schema: {
        tags: ['files'],
        description:
          'The body is the content, whatever its type. Answers when every fragment is stored and every contract is final.',
        params: fileParams,
        querystring: T.Object({
          redundancy: T.Optional(T.String({ maxLength: 8, description: 'K+M' })),
          overwrite: T.Optional(T.Boolean({ default: true })),
        }),
        response: { 201: File },
      },
    },
    async (request, reply) => {
      const { redundancy, overwrite } = request.query;
      const name = request.params['*'];
      const totalBytes = Number(request.headers['content-length'] ?? 0);
      let toldMs = 0;
      const manifest = await files.put(name, (request.body as Readable | null) ?? Readable.from([]), {
        scheme: redundancy === undefined ? undefined : parseScheme(redundancy),
        ...(overwrite === undefined ? {} : { overwrite }),
        onProgress: (sentBytes) => {
          const now = Date.now();
          if (now - toldMs < PROGRESS_MS && sentBytes !== totalBytes) return;
          toldMs = now;
          app.feed.tell('job', { kind: 'upload', name, sentBytes, totalBytes });
        },
      });
      return reply.code(201).send(present(manifest));
    },
  );

  app.get(
    '/files/*',
    {
      ...viewer,
      schema: {
        tags: ['files'],
        description:
          'The content; with /health behind the name, the health of its fragments. Honours Range, If-Range and If-None-Match.',
        params: fileParams,
      },
    },
    async (request, reply) => {
      const given = request.params['*'];
      if (given.endsWith('/health') && files.manifest(given) === undefined)
        return reply.send(healthOf(wanted(given.slice(0, -'/health'.length))));
      const manifest = wanted(given);
      const { sizeBytes } = manifest;
      const etag = `"${manifest.contentHash}"`;
      reply.header('etag', etag);
      if (isUnchanged(request.headers['if-none-match'], etag)) return reply.code(304).send();
      const range: ByteRange = request.method === 'GET' ? rangeOf(request.headers, sizeBytes, etag) : 'whole';
      if (range === 'unsatisfiable') {
        reply.header('content-range', `bytes */${sizeBytes}`);
        throw new MarketError('bad-range', `expected a range within the ${sizeBytes} bytes of the file`);
      }
      const [from, to] = range === 'whole' ? [0, sizeBytes] : range;
      if (range !== 'whole') reply.code(206).header('content-range', `bytes ${from}-${to - 1}/${sizeBytes}`);
      reply
        .header('accept-ranges', 'bytes')
        .header('content-type', 'application/octet-stream')
        .header('content-length', to - from)
        .header(
          'content-disposition',
          `attachment; filename*=UTF-8''${encodeURIComponent(manifest.name.split('/').at(-1) as string)}`,
        );
      // Without a stream the framework would say that the content is empty.
      if (request.method === 'HEAD') return reply.send(Readable.from([]));
      return reply.send(
        Readable.from(files.read(manifest.name, from, to), { objectMode: false, highWaterMark: READ_BYTES }),
      );
    },
  );
  app.delete(
    '/files/*',
    { ...owner, schema: { tags: ['files'], params: fileParams, response: { 204: T.Null() } } },
    async (request, reply) => {
      await files.remove(request.params['*']);
      return reply.code(204).send(null);
    },
  );
}
