import { resolve } from 'node:path';
import type { Command } from 'commander';
import { size as readSize } from './arguments.ts';
import { bytes, table } from './output.ts';
import type { Runner } from './runner.ts';

interface Volume {
  id: string;
  folder: string;
  limitBytes: number;
  usedBytes: number;
  draining: boolean;
}
const showVolumes = (items: readonly Volume[]): string =>
  table(
    ['ID', 'FOLDER', 'USED', 'LIMIT', ''],
    items.map((one) => [
      one.id,
      one.folder,
      bytes(one.usedBytes),
      bytes(one.limitBytes),
      one.draining ? 'draining' : '',
    ]),
    'no volumes',
  );

/** host volumes: list, add, resize, drain, remove. */
export function volumeCommands(host: Command, run: Runner): void {
  const volumes = host.command('volumes').description('folders that fragments are kept in');
  volumes.action(
    run(async ({ client }) => {
      const { items } = await client.get<{ items: Volume[] }>('/host/volumes');
      return [items, showVolumes(items)];
    }),
  );
  volumes
    .command('add <folder> <size>')
    .description('add a folder; SIZE such as 500G')
    .action(
      run(async ({ client }, folder: string, size: string) => {
        const volume = await client.send<Volume>('POST', '/host/volumes', {
          folder: resolve(folder),
          limitBytes: readSize(size),
        });
        return [volume, showVolumes([volume])];
      }),
    );
  volumes
    .command('resize <id> <size>')
    .description('set a new limit')
    .action(
      run(async ({ client }, id: string, size: string) => {
        const volume = await client.send<Volume>('PATCH', `/host/volumes/${encodeURIComponent(id)}`, {
          limitBytes: readSize(size),
        });
        return [volume, showVolumes([volume])];
      }),
    );
  volumes
    .command('drain <id>')
    .description('move everything to other volumes')
    .action(
      run(async ({ client }, id: string) => {
        const volume = await client.send<Volume>('PATCH', `/host/volumes/${encodeURIComponent(id)}`, {
          draining: true,
        });
        return [volume, showVolumes([volume])];
      }),
    );
  volumes
    .command('remove <id>')
    .description('drain and forget a volume')
    .action(
      run(async ({ client }, id: string) => {
        await client.send('DELETE', `/host/volumes/${encodeURIComponent(id)}`);
        return [{ removed: id }, `removed volume ${id}`];
      }),
    );
}
