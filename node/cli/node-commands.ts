import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Command } from 'commander';
import { openConsole } from '../api/server.ts';
import { loadSettings } from '../config/settings.ts';
import type { ReadyMessage } from '../devnet/node-process.ts';
import { startNode } from '../node.ts';
import { acorns, bytes, fields } from './output.ts';
import { type PassphraseOptions, readPassphrase, withPassphraseOptions } from './passphrase.ts';
import type { Runner } from './runner.ts';
import { flagsOf, withSettings } from './setting-options.ts';
import { stopSignal } from './stop-signal.ts';

/** start, status: a node at work. */
export function nodeCommands(program: Command, run: Runner, version: string): void {
  withPassphraseOptions(
    withSettings(program.command('start').description('run the node of a data folder')),
  ).action(
    run(async ({ dataFolder }, options: PassphraseOptions & Record<string, unknown>) => {
      const folder = dataFolder();
      const settings = loadSettings(folder, flagsOf(options));
      const passphrase = settings['tpm.device'] === 'none' ? await readPassphrase(options) : undefined;
      const node = await startNode({
        dataFolder: folder,
        settings,
        version,
        ...(passphrase === undefined ? {} : { passphrase }),
      });
      const dashboard = fileURLToPath(new URL('../../dashboard', import.meta.url));
      const stopped = stopSignal();
      try {
        const console_ = await openConsole(
          node,
          folder,
          existsSync(join(dashboard, 'index.html')) ? dashboard : undefined,
        );
        const loginUrl = console_.loginUrl();
        if (process.send !== undefined) process.send({ kind: 'ready', loginUrl } satisfies ReadyMessage);
        else
          process.stdout.write(`Blocktree runs. Dashboard: ${loginUrl}\nData: ${folder}. Ctrl-C stops it.\n`);
        await stopped;
        await console_.close();
      } finally {
        await node.close();
      }
      return [undefined, ''];
    }),
  );

  program
    .command('status')
    .description('how the node is, and a new login link')
    .action(
      run(async ({ client }) => {
        const status = await client.get<{
          chainName: string;
          height: number;
          period: number;
          peerCount: number;
          uptimeMs: number;
          storage: { usedBytes: number; offeredBytes: number };
          halted: string | null;
          catchingUpTo: number | null;
          nodeId: string;
        }>('/status');
        const [wallet, earnings, link, alerts] = await Promise.all([
          client.get<{ balanceGrains: string; accountId: string }>('/wallet'),
          client.get<{ totalGrains: string }>('/host/earnings'),
          client.send<{ code: string }>('POST', '/sessions/links'),
          client.get<{ items: { severity: string; title: string; whatToDo: string }[] }>('/alerts'),
        ]);
        const loginUrl = `${client.base}/login#${link.code}`;
        const text = [
          fields([
            ['network', `${status.chainName}, ${status.peerCount} peers`],
            ['node', status.nodeId],
            ['account', wallet.accountId],
            [
              'height',
              `${status.height}, period ${status.period}${status.catchingUpTo === null ? '' : `, catching up to ${status.catchingUpTo}`}`,
            ],
            ['balance', acorns(wallet.balanceGrains)],
            ['earned', acorns(earnings.totalGrains)],
            ['storage', `${bytes(status.storage.usedBytes)} of ${bytes(status.storage.offeredBytes)} used`],
            ['dashboard', loginUrl],
          ]),
          ...alerts.items.map(
            (alert) => `\n${alert.severity.toUpperCase()}: ${alert.title}\n  ${alert.whatToDo}`,
          ),
        ].join('\n');
        return [
          {
            ...status,
            balanceGrains: wallet.balanceGrains,
            totalGrains: earnings.totalGrains,
            alerts: alerts.items,
            loginUrl,
          },
          text,
        ];
      }),
    );
}
