import type { Command } from 'commander';
import { loadSettings } from '../config/settings.ts';
import { NodeError } from '../errors.ts';
import { verifyLedger } from '../ledger/verify-ledger.ts';
import { readGenesis } from '../node.ts';
import { fields, ProgressBar } from './output.ts';
import type { Runner } from './runner.ts';

/** ledger verify: on a data folder whose node does not run. */
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
            ['executed again', report.replayed === undefined ? 'no' : `${report.replayed} blocks`],
            ['found', findings.length === 0 ? 'nothing wrong' : `${findings.length + more} things wrong`],
          ]),
          ...findings.map(({ where, what }) => `  ${where}: ${what}`),
          ...(more > 0 ? [`  and ${more} more`] : []),
          ...(whatToDo === undefined ? [] : ['', whatToDo]),
        ].join('\n');
        return [report, text];
      }),
    );
}
