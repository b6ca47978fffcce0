import { statSync } from 'node:fs';
import type { Command } from 'commander';
import { loadSettings } from '../config/settings.ts';
import { NodeError } from '../errors.ts';
import { Chain } from '../ledger/chain/chain.ts';
import { exportLedger, writeSnapshot } from '../ledger/maintenance/export-ledger.ts';
import { importLedger } from '../ledger/maintenance/import-ledger.ts';
import { verifyLedger } from '../ledger/maintenance/verify-ledger.ts';
import { readGenesis } from '../node.ts';
import { bytes, counted, fields, ProgressBar } from './output.ts';
import type { Runner } from './runner.ts';

/** The ledger of a data folder whose node does not run. */
async function withChain<T>(dataFolder: string, use: (chain: Chain) => Promise<T>): Promise<T> {
  const chain = await Chain.open(dataFolder, readGenesis(dataFolder, loadSettings(dataFolder, {})));
  try {
    return await use(chain);
  } finally {
    await chain.close();
  }
}

/** ledger verify, export, snapshot, import: on a data folder whose node does not run. */
export function recoveryCommands(ledger: Command, run: Runner): void {
  ledger
    .command('verify')
    .description('check the stored ledger (the node must not run)')
    .option('--from <height>', 'look into blocks from this height on', '0')
    .option('--replay', 'execute everything again from the first block; needs as much room as the ledger')
    .action(
      run(async ({ dataFolder }, options: { from: string; replay?: boolean }) => {
        if (!/^\d{1,12}$/.test(options.from))
          throw new NodeError('bad-configuration', `expected a height for --from, got "${options.from}"`);
        const folder = dataFolder();
        const bar = new ProgressBar('checking', String);
        const report = await verifyLedger({
          dataFolder: folder,
          genesis: readGenesis(folder, loadSettings(folder, {})),
          from: Number(options.from),
          replay: options.replay === true,
          onProgress: (part, done, total) => bar.update(done, total, part),
        }).finally(() => bar.end());
        const { findings, more, whatToDo } = report;
        if (findings.length > 0) process.exitCode = 1;
        const text = [
          fields([
            ['height', String(report.height)],
            [
              'blocks',
              `${report.blocks} checked, ${report.pruned} without body, ${report.abandoned} abandoned`,
            ],
            ['state', `${report.rows} rows, ${report.pages} pages`],
            [
              'executed again',
              report.replayed !== undefined
                ? `${report.replayed} blocks`
                : options.replay === true && report.pruned > 0
                  ? 'no: bodies are pruned'
                  : 'no',
            ],
            [
              'found',
              findings.length === 0 ? 'nothing wrong' : `${counted(findings.length + more, 'thing')} wrong`,
            ],
          ]),
          ...findings.map(({ where, what }) => `  ${where}: ${what}`),
          ...(more > 0 ? [`  and ${more} more`] : []),
          ...(whatToDo === undefined ? [] : ['', whatToDo]),
        ].join('\n');
        return [report, text];
      }),
    );

  const writers = [
    ['export', 'write all blocks and what proves them to a file (the node must not run)', exportLedger],
    [
      'snapshot',
      'write all headers, the newest state and what proves it to a file (the node must not run)',
      writeSnapshot,
    ],
  ] as const;
  for (const [name, description, write] of writers) {
    ledger
      .command(`${name} <file>`)
      .description(description)
      .action(
        run(async ({ dataFolder }, file: string) => {
          const bar = new ProgressBar('writing', String);
          const report = await withChain(dataFolder(), (chain) =>
            write(chain, file, (done, total) => bar.update(done, total)),
          ).finally(() => bar.end());
          return [
            report,
            fields([
              ['file', `${report.file}, ${bytes(report.bytes)}`],
              ['up to', `block ${report.height}, ${report.blockId}`],
            ]),
          ];
        }),
      );
  }

  ledger
    .command('import <file>')
    .description('take over an export or a snapshot after checking all of it (the node must not run)')
    .action(
      run(async ({ dataFolder }, file: string) => {
        const { size: totalBytes } = statSync(file, { throwIfNoEntry: false }) ?? { size: 0 };
        const bar = new ProgressBar('importing');
        const report = await withChain(dataFolder(), (chain) =>
          importLedger(chain, file, (part, doneBytes) => bar.update(doneBytes, totalBytes, part)),
        ).finally(() => bar.end());
        const text =
          report.height === report.from
            ? `Nothing to do: the ledger is at block ${report.height} already.`
            : `The ledger went from block ${report.from} to block ${report.height}.`;
        return [report, text];
      }),
    );
}
