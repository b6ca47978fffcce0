import { createReadStream, createWriteStream, existsSync, rmSync, statSync } from 'node:fs';
import { rename } from 'node:fs/promises';
import { basename, dirname, resolve } from 'node:path';
import { Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Command } from 'commander';
import { NodeError } from '../errors.ts';
import { byteRange, redundancy } from './arguments.ts';
import { filePath } from './client.ts';
import { bytes, counted, fields, ProgressBar, table } from './output.ts';
import type { Runner } from './runner.ts';

interface FileJson {
  name: string;
  sizeBytes: number;
  createdAt: string;
  sha256: string;
  redundancy: { data: number; parity: number; weak: boolean };
  storedBytes: number;
  health: { state: string; fragmentsAlive: number; fragmentsNeeded: number; fragmentsTotal: number };
}

const healthText = ({ state, fragmentsAlive, fragmentsTotal, fragmentsNeeded }: FileJson['health']): string =>
  `${state} (${fragmentsAlive} of ${fragmentsTotal} fragments, ${fragmentsNeeded} needed)`;

/** Counts what flows by. */
function meter(seen: (total: number) => void): Transform {
  let total = 0;
  return new Transform({
    transform(chunk: Buffer, _, done) {
      total += chunk.length;
      seen(total);
      done(null, chunk);
    },
  });
}

/** put, get, ls, rm, stat, recover. */
export function fileCommands(program: Command, run: Runner): void {
  program
    .command('put <file> [name]')
    .description('store a file on the network')
    .option('--redundancy <k+m>', 'data and parity fragments a slab, such as 2+3')
    .option('--no-overwrite', 'refuse when the name is taken')
    .action(
      run(
        async (
          { client },
          path: string,
          name: string | undefined,
          options: { redundancy?: string; overwrite: boolean },
        ) => {
          const found = statSync(path, { throwIfNoEntry: false });
          if (found === undefined) throw new NodeError('not-found', `there is no file ${path}`);
          if (!found.isFile())
            throw new NodeError('not-found', `${path} is no file; a folder is stored file by file`);
          const { size } = found;
          const bar = new ProgressBar(`put ${basename(path)}`);
          const query = new URLSearchParams({
            overwrite: String(options.overwrite),
            ...(options.redundancy === undefined ? {} : { redundancy: redundancy(options.redundancy) }),
          });
          const body = createReadStream(path, { highWaterMark: 262_144 }).pipe(
            meter((done) =>
              bar.update(done, size, done < size ? '' : '· waiting for the contracts to be final'),
            ),
          );
          try {
            const response = await client.request('PUT', `${filePath(name ?? basename(path))}?${query}`, {
              body: Readable.toWeb(body),
              duplex: 'half',
              headers: { 'content-type': 'application/octet-stream', 'x-content-length': String(size) },
            });
            const file = (await response.json()) as FileJson;
            return [
              file,
              `stored "${file.name}": ${bytes(file.sizeBytes)}, ${file.redundancy.data}+${file.redundancy.parity}, ${healthText(file.health)}`,
            ];
          } finally {
            bar.end();
          }
        },
      ),
    );

  program
    .command('get <name> [file]')
    .description('fetch a file; to its name in this folder unless FILE is given ("-" for standard output)')
    .option('--range <a-b>', 'only the bytes from A to B')
    .option('--force', 'overwrite an existing file')
    .action(
      run(
        async (
          { client },
          name: string,
          file: string | undefined,
          options: { range?: string; force?: boolean },
        ) => {
          const target = file === '-' ? undefined : resolve(file ?? (name.split('/').at(-1) as string));
          if (target !== undefined && existsSync(target) && options.force !== true)
            throw new NodeError('exists', `${target} exists already; give another FILE or --force`);
          if (target !== undefined && !existsSync(dirname(target)))
            throw new NodeError('bad-folder', `there is no folder ${dirname(target)}`);
          const response = await client.request(
            'GET',
            filePath(name),
            options.range === undefined ? {} : { headers: { range: `bytes=${byteRange(options.range)}` } },
          );
          const total = Number(response.headers.get('content-length') ?? 0);
          const bar = new ProgressBar(`get ${name}`);
          const source =
            response.body === null
              ? Readable.from([])
              : Readable.fromWeb(response.body as Parameters<typeof Readable.fromWeb>[0]);
          const counted = meter((done) => bar.update(done, total));
          try {
            if (target === undefined) {
              await pipeline(source, counted, process.stdout, { end: false });
              return [undefined, ''];
            }
            const partial = `${target}.part`;
            try {
              await pipeline(source, counted, createWriteStream(partial));
              await rename(partial, target);
            } catch (error) {
              rmSync(partial, { force: true });
              throw error;
            }
          } finally {
            bar.end();
          }
          return [{ name, file: target, bytes: total }, `${target}: ${bytes(total)}`];
        },
      ),
    );

  program
    .command('recover')
    .description('find all files of this account again, as on a new machine after "init --restore"')
    .action(
      run(async ({ client }) => {
        const found = await client.send<{ files: number; added: number; hosts: number; silent: string[] }>(
          'POST',
          '/recovery',
        );
        if (found.hosts === 0) {
          const { height } = await client.get<{ height: number }>('/ledger/head');
          throw new NodeError(
            'not-found',
            `this account rents from nobody, as far as this node knows the ledger (block ${height}); wait until it has caught up`,
          );
        }
        if (found.silent.length === found.hosts)
          throw new NodeError(
            'not-found',
            `none of the ${found.hosts} hosts answered; they answer a node with a claimed chip: see "blocktree tpm info", then try again`,
          );
        const text = [
          `${counted(found.files, 'file')} here, ${found.added} came back now.`,
          ...(found.silent.length === 0
            ? []
            : [
                `${found.silent.length} of ${found.hosts} hosts have not answered, and may know of more. They are asked again every period:`,
                ...found.silent.map((host) => `  ${host}`),
              ]),
        ];
        return [found, text.join('\n')];
      }),
    );

  program
    .command('ls')
    .description('list the files')
    .action(
      run(async ({ client }) => {
        const items = await client.all<FileJson>('/files');
        const rows = items.map((file) => [
          file.name,
          bytes(file.sizeBytes),
          `${file.redundancy.data}+${file.redundancy.parity}`,
          healthText(file.health),
          file.createdAt.slice(0, 16).replace('T', ' '),
        ]);
        return [
          items,
          table(
            ['NAME', 'SIZE', 'CODE', 'HEALTH', 'STORED'],
            rows,
            'no files yet: "blocktree put FILE" stores one',
          ),
        ];
      }),
    );

  program
    .command('rm <name>')
    .description('remove a file')
    .action(
      run(async ({ client }, name: string) => {
        await client.send('DELETE', filePath(name));
        return [{ removed: name }, `removed "${name}"`];
      }),
    );

  program
    .command('stat <name>')
    .description('show one file and where its fragments are')
    .action(
      run(async ({ client }, name: string) => {
        const { items } = await client.get<{ items: FileJson[] }>(`/files?name=${encodeURIComponent(name)}`);
        const [file] = items;
        if (file === undefined)
          throw new NodeError('not-found', `there is no file "${name}"; see "blocktree ls"`);
        const health = await client.get<{ hosts: { nodeId: string; fragments: number; alive: boolean }[] }>(
          `${filePath(name)}/health`,
        );
        const text = [
          fields([
            ['name', file.name],
            [
              'size',
              `${bytes(file.sizeBytes)} (${file.sizeBytes} bytes), ${bytes(file.storedBytes)} at hosts`,
            ],
            ['sha256', file.sha256],
            ['stored', file.createdAt],
            [
              'redundancy',
              `${file.redundancy.data}+${file.redundancy.parity}${file.redundancy.weak ? ' (weak: below 99.99 % when a quarter of the hosts is away)' : ''}`,
            ],
            ['health', healthText(file.health)],
          ]),
          '',
          table(
            ['HOST', 'FRAGMENTS', 'ALIVE'],
            health.hosts.map((host) => [host.nodeId, String(host.fragments), host.alive ? 'yes' : 'no']),
            'an empty file has no fragments',
          ),
        ].join('\n');
        return [{ ...file, hosts: health.hosts }, text];
      }),
    );
}
