import { join } from 'node:path';
import { type Command, Option } from 'commander';
import type { DevnetTpm } from '../devnet/create.ts';
import { runDevnet } from '../devnet/run.ts';
import { wholeNumber } from './arguments.ts';
import type { Runner } from './runner.ts';
import { stopSignal } from './stop-signal.ts';

/** devnet: a network of real nodes on this machine. */
export function devnetCommand(program: Command, run: Runner): void {
  program
    .command('devnet')
    .description('run a development network on this machine')
    .option('--nodes <n>', 'how many nodes (default: 6)')
    .option('--period <ms>', 'length of a period (default: 10000)')
    .option('--epoch <ms>', 'how long a committee sits (default: 86400000)')
    .option('--console-port <port>', 'consoles listen on this plus the node number (default: 7070)')
    .option('--link-port <port>', 'links listen on this plus the node number (default: 7000)')
    .addOption(
      new Option(
        '--tpm <kind>',
        'chips of a new network: a key file each (default), or an emulator (swtpm) each',
      ).choices(['software', 'emulator'] satisfies DevnetTpm[]),
    )
    .action(
      run(
        async (
          { program: root },
          options: {
            nodes?: string;
            period?: string;
            epoch?: string;
            consolePort?: string;
            linkPort?: string;
            tpm?: DevnetTpm;
          },
        ) => {
          const number = (text: string | undefined, name: string, least: number, most: number) =>
            text === undefined ? undefined : wholeNumber(text, name, least, most);
          const data = root.opts<{ data?: string }>().data ?? 'data';
          const folder = join(data, 'devnet');
          const stopped = stopSignal();
          const say = (text: string): void => void process.stdout.write(`· ${text}\n`);
          const wishes = {
            nodes: number(options.nodes, '--nodes', 1, 30),
            tpm: options.tpm,
            periodMs: number(options.period, '--period', 1_000, 86_400_000),
            epochMs: number(options.epoch, '--epoch', 1_000, 86_400_000),
            consolePort: number(options.consolePort, '--console-port', 1_024, 65_000),
            linkPort: number(options.linkPort, '--link-port', 1_024, 65_000),
          };
          const given = Object.entries(wishes).filter(([, wish]) => wish !== undefined);
          const devnet = await runDevnet(folder, Object.fromEntries(given), say);
          say('claiming chips and offering storage');
          await Promise.race([devnet.settled(), stopped]);
          const dataFlag = data === 'data' ? '' : ` --data ${data}`;
          process.stdout.write(
            [
              '',
              'A development network runs on this machine.',
              '',
              `  Dashboard   ${devnet.loginUrl}`,
              `  Data        ${folder}`,
              '',
              'Try, in another shell:',
              `  npx blocktree${dataFlag} put README.md`,
              `  npx blocktree${dataFlag} --node 2 host earnings`,
              `  npx blocktree${dataFlag} ledger tree`,
              '',
              'Ctrl-C stops it; starting again finds everything as it was.',
              '',
            ].join('\n'),
          );
          await stopped;
          say('stopping');
          await devnet.stop();
          return [undefined, ''];
        },
      ),
    );
}
