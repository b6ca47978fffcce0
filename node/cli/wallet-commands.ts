import { randomUUID } from 'node:crypto';
import type { Command } from 'commander';
import { account, memo, payment, wholeNumber } from './arguments.ts';
import { acorns, table } from './output.ts';
import { type PassphraseOptions, withPassphraseOptions } from './passphrase.ts';
import type { Runner } from './runner.ts';
import { readWords } from './tpm-commands.ts';

/** wallet: address, balance, send, history, backup. */
export function walletCommands(program: Command, run: Runner): void {
  const wallet = program.command('wallet').description('the account of this node');
  wallet
    .command('address')
    .description('print the account address')
    .action(
      run(async ({ client }) => {
        const { accountId } = await client.get<{ accountId: string }>('/wallet');
        return [{ accountId }, accountId];
      }),
    );
  wallet
    .command('balance')
    .description('print the balance')
    .action(
      run(async ({ client }) => {
        const status = await client.get<{ balanceGrains: string }>('/wallet');
        return [status, acorns(status.balanceGrains)];
      }),
    );
  wallet
    .command('send <to> <amount>')
    .description('send acorns, such as 12.5')
    .option('--memo <text>', 'up to 64 bytes that everybody can read')
    .action(
      run(async ({ client }, to: string, amount: string, options: { memo?: string }) => {
        const body = {
          to: account(to),
          amountGrains: payment(amount).toString(),
          ...(options.memo === undefined ? {} : { memo: memo(options.memo) }),
        };
        const sent = await client.send<{ transactionId: string; height: number }>(
          'POST',
          '/wallet/transfers',
          body,
          { 'idempotency-key': randomUUID() },
        );
        return [
          sent,
          `sent ${amount} acorns; final in block ${sent.height}, transaction ${sent.transactionId}`,
        ];
      }),
    );
  wallet
    .command('history')
    .description('list what came and went, newest first')
    .option('--limit <n>', 'at most so many', '50')
    .action(
      run(async ({ client }, options: { limit: string }) => {
        const { accountId } = await client.get<{ accountId: string }>('/wallet');
        const { items } = await client.get<{
          items: {
            height: number;
            timestamp: string;
            reason: string;
            direction: string;
            amountGrains: string;
            memo: string | null;
          }[];
        }>(`/ledger/accounts/${accountId}/history?limit=${wholeNumber(options.limit, '--limit', 1, 200)}`);
        const rows = items.map((entry) => [
          String(entry.height),
          entry.timestamp.slice(0, 19).replace('T', ' '),
          entry.reason,
          `${entry.direction === 'in' ? '+' : '-'}${acorns(entry.amountGrains)}`,
          entry.memo ?? '',
        ]);
        return [items, table(['BLOCK', 'TIME', 'REASON', 'AMOUNT', 'MEMO'], rows, 'nothing yet')];
      }),
    );

  withPassphraseOptions(
    wallet
      .command('backup')
      .description(
        'print the 24 words that restore the account ("blocktree init --restore" on a new machine)',
      ),
  ).action(
    run(async ({ dataFolder }, options: PassphraseOptions) => {
      const words = await readWords(dataFolder(), options);
      return [{ words }, words];
    }),
  );
}
