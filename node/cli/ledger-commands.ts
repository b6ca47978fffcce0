import type { Command } from 'commander';
import { account, blockReference, hashId, wholeNumber } from './arguments.ts';
import { acorns, bytes, counted, fields, short, table } from './output.ts';
import { recoveryCommands } from './recovery-commands.ts';
import type { Runner } from './runner.ts';

interface BlockJson {
  id: string;
  height: number;
  parentId: string;
  view: number;
  timestamp: string;
  proposer: string;
  transactionCount: number | null;
  pruned: boolean;
  status: string;
  stateRoot: string;
}

/** Heights that the API draws at most. */
const DEPTH_MAX = 200;
/** What is said of a block whose body is not here. */
const PRUNED = 'pruned: this node keeps only the header';

const showBlock = (block: BlockJson): string =>
  fields([
    ['block', block.id],
    ['height', `${block.height} (${block.status})`],
    ['time', block.timestamp],
    ['parent', block.parentId],
    ['proposer', block.proposer],
    ['transactions', block.transactionCount === null ? PRUNED : String(block.transactionCount)],
    ['state root', block.stateRoot],
  ]);

/** ledger: what everybody may read. */
export function ledgerCommands(program: Command, run: Runner): void {
  const ledger = program.command('ledger').description('read the public ledger, check and carry it');
  recoveryCommands(ledger, run);
  ledger
    .command('head')
    .description('the newest final block')
    .action(
      run(async ({ client }) => {
        const block = await client.get<BlockJson>('/ledger/head');
        return [block, showBlock(block)];
      }),
    );
  ledger
    .command('block <id>')
    .description('a block by id or height')
    .action(
      run(async ({ client }, id: string) => {
        const block = await client.get<
          BlockJson & { transactions: { id: string; kind: string; sender: string }[] }
        >(`/ledger/blocks/${blockReference(id)}`);
        const rows = block.transactions.map((one) => [one.id, one.kind, short(one.sender)]);
        return [
          block,
          block.pruned
            ? showBlock(block)
            : `${showBlock(block)}\n\n${table(['TRANSACTION', 'KIND', 'SENDER'], rows, block.height === 0 ? 'no transactions: the chain began' : 'no transactions: a period began')}`,
        ];
      }),
    );
  ledger
    .command('tx <id>')
    .description('a transaction')
    .action(
      run(async ({ client }, id: string) => {
        const transaction = await client.get<{
          id: string;
          kind: string;
          status: string;
          height: number | null;
          sender: string;
          feeGrains: string;
          body: object;
        }>(`/ledger/transactions/${hashId(id, "a transaction's id")}`);
        return [
          transaction,
          `${fields([
            ['transaction', transaction.id],
            ['kind', transaction.kind],
            [
              'status',
              transaction.height === null
                ? transaction.status
                : `${transaction.status} in block ${transaction.height}`,
            ],
            ['sender', transaction.sender],
            ['fee', acorns(transaction.feeGrains)],
          ])}\n${JSON.stringify(transaction.body, undefined, 2)}`,
        ];
      }),
    );
  ledger
    .command('account <address>')
    .description('the balance of an account')
    .action(
      run(async ({ client }, address: string) => {
        const found = await client.get<{ accountId: string; balanceGrains: string; nonce: number }>(
          `/ledger/accounts/${account(address)}`,
        );
        return [
          found,
          fields([
            ['account', found.accountId],
            ['balance', acorns(found.balanceGrains)],
            ['sent', counted(found.nonce, 'transaction')],
          ]),
        ];
      }),
    );
  ledger
    .command('contract <id>')
    .description('a contract')
    .action(
      run(async ({ client }, id: string) => {
        const one = await client.get<{
          id: string;
          state: string;
          renterId: string;
          hostAccountId: string;
          sizeBytes: number;
          startPeriod: number;
          endPeriod: number;
          nextPeriod: number;
          paidPeriods: number;
          missedPeriods: number;
          escrowGrains: string;
          collateralGrains: string;
          paidStorageGrains: string;
          paidEgressGrains: string;
          penaltyGrains: string;
        }>(`/ledger/contracts/${hashId(id, "a contract's id")}`);
        return [
          one,
          fields([
            ['contract', `${one.id} (${one.state})`],
            ['renter', one.renterId],
            ['host', one.hostAccountId],
            ['size', bytes(one.sizeBytes)],
            [
              'periods',
              `${one.startPeriod} to ${one.endPeriod}; ${one.paidPeriods} paid, ${one.missedPeriods} missed, next ${one.nextPeriod}`,
            ],
            ['escrow', acorns(one.escrowGrains)],
            ['collateral', acorns(one.collateralGrains)],
            ['paid', `${acorns(one.paidStorageGrains)} storage, ${acorns(one.paidEgressGrains)} egress`],
            ['penalties', acorns(one.penaltyGrains)],
          ]),
        ];
      }),
    );
  ledger
    .command('tree')
    .description('the newest part of the block tree')
    .option('--depth <n>', 'heights shown', '12')
    .action(
      run(async ({ client }, options: { depth: string }) => {
        const depth = wholeNumber(options.depth, '--depth', 1, DEPTH_MAX);
        const tree = await client.get<{ blocks: BlockJson[] }>(`/ledger/tree?depth=${depth}`);
        const mark: Record<string, string> = { final: '●', notarized: '◐', proposed: '○', abandoned: '×' };
        const lines = [...tree.blocks]
          .sort((a, b) => b.height - a.height)
          .map(
            (block) =>
              `${mark[block.status] ?? '?'} ${String(block.height).padStart(6)}  ${short(block.id)}  ${block.status.padEnd(9)}  ${block.transactionCount === null ? 'pruned' : counted(block.transactionCount, 'transaction')}`,
          );
        return [tree, lines.join('\n')];
      }),
    );
}
