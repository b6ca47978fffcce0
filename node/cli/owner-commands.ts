import { randomUUID } from 'node:crypto';
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { parseAcorns } from '../../ledger/grains.ts';
import { parseAccountAddress } from '../../ledger/ids.ts';
import { NodeError } from '../errors.ts';
import { acorns, bytes, fields, short, table } from './output.ts';
import { type PassphraseOptions, withPassphraseOptions } from './passphrase.ts';
import type { Runner } from './runner.ts';
import { readWords } from './tpm-commands.ts';

interface Earnings {
  totalGrains: string;
  storageGrains: string;
  egressGrains: string;
  relayGrains: string;
  feeGrains: string;
  penaltyGrains: string;
  projectedMonthGrains: string;
  byPeriod: (Earnings & { period: number; startedAt: string | null })[];
  byContract: (Earnings & { contractId: string })[];
}
interface OfferJson {
  priceGrainsPerGiBPeriod: string;
  egressGrainsPerGiB: string;
  collateralPercent: number;
  periodsMin: number;
  periodsMax: number;
}

/** wallet, host, api: what is the owner's. */
export function ownerCommands(program: Command, run: Runner): void {
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
          to: parseAccountAddress(to),
          amountGrains: parseAcorns(amount).toString(),
          ...(options.memo === undefined ? {} : { memo: options.memo }),
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
        }>(`/ledger/accounts/${accountId}/history?limit=${encodeURIComponent(options.limit)}`);
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

  const host = program.command('host').description('storage for pay');
  host
    .command('offer')
    .description('show the offer, or announce a new one')
    .option('--price <acorns>', 'a GiB and period')
    .option('--egress <acorns>', 'a GiB served')
    .option('--collateral <percent>', 'of the storage price of a contract')
    .option('--shortest <periods>', 'shortest contract')
    .option('--longest <periods>', 'longest contract')
    .option('--withdraw', 'take no new contracts')
    .action(
      run(
        async (
          { client },
          options: {
            price?: string;
            egress?: string;
            collateral?: string;
            shortest?: string;
            longest?: string;
            withdraw?: boolean;
          },
        ) => {
          const before = (await client.get<{ offer: OfferJson | null }>('/host/offer')).offer;
          const { price, egress, collateral, shortest, longest, withdraw } = options;
          const changes = [price, egress, collateral, shortest, longest].some((value) => value !== undefined);
          let offer = before;
          if (withdraw === true)
            offer = (await client.send<{ offer: OfferJson | null }>('PUT', '/host/offer', { offer: null }))
              .offer;
          else if (changes) {
            const whole = (text: string | undefined, fallback: number, name: string): number => {
              if (text === undefined) return fallback;
              if (!/^\d{1,7}$/.test(text))
                throw new NodeError(
                  'bad-configuration',
                  `expected a whole number for --${name}, got "${text}"`,
                );
              return Number(text);
            };
            offer = (
              await client.send<{ offer: OfferJson | null }>('PUT', '/host/offer', {
                offer: {
                  priceGrainsPerGiBPeriod:
                    price === undefined
                      ? (before?.priceGrainsPerGiBPeriod ?? '100000000')
                      : parseAcorns(price).toString(),
                  egressGrainsPerGiB:
                    egress === undefined
                      ? (before?.egressGrainsPerGiB ?? '10000000')
                      : parseAcorns(egress).toString(),
                  collateralPercent: whole(collateral, before?.collateralPercent ?? 50, 'collateral'),
                  periodsMin: whole(shortest, before?.periodsMin ?? 1, 'shortest'),
                  periodsMax: whole(longest, before?.periodsMax ?? 10_000, 'longest'),
                },
              })
            ).offer;
          }
          if (offer === null)
            return [{ offer }, 'this node offers no storage; "blocktree host offer --price 0.1" begins to'];
          return [
            { offer },
            fields([
              ['price', `${acorns(offer.priceGrainsPerGiBPeriod)} a GiB and period`],
              ['egress', `${acorns(offer.egressGrainsPerGiB)} a GiB`],
              ['collateral', `${offer.collateralPercent} % of the storage price`],
              ['contracts', `${offer.periodsMin} to ${offer.periodsMax} periods`],
            ]),
          ];
        },
      ),
    );
  host
    .command('contracts')
    .description('list the contracts that this node keeps')
    .action(
      run(async ({ client }) => {
        const items = await client.all<{
          id: string;
          state: string;
          sizeBytes: number;
          paidStorageGrains: string;
          paidEgressGrains: string;
          missedPeriods: number;
          endPeriod: number;
          nextPeriod: number;
        }>('/host/contracts');
        const rows = items.map((one) => [
          short(one.id),
          one.state,
          bytes(one.sizeBytes),
          acorns((BigInt(one.paidStorageGrains) + BigInt(one.paidEgressGrains)).toString()),
          String(one.missedPeriods),
          String(one.nextPeriod),
          String(one.endPeriod),
        ]);
        return [
          items,
          table(['CONTRACT', 'STATE', 'SIZE', 'PAID', 'MISSED', 'NEXT', 'END'], rows, 'no contracts yet'),
        ];
      }),
    );
  host
    .command('earnings')
    .description('what the ledger paid this account, to the grain')
    .option('--by <what>', 'day, contract or kind', 'kind')
    .action(
      run(async ({ client }, options: { by: string }) => {
        const earnings = await client.get<Earnings>('/host/earnings');
        if (options.by === 'contract') {
          return [
            earnings,
            table(
              ['CONTRACT', 'TOTAL', 'STORAGE', 'EGRESS', 'PENALTY'],
              earnings.byContract.map((one) => [
                short(one.contractId),
                acorns(one.totalGrains),
                acorns(one.storageGrains),
                acorns(one.egressGrains),
                acorns(one.penaltyGrains),
              ]),
              'nothing earned yet',
            ),
          ];
        }
        if (options.by === 'day') {
          const days = new Map<string, bigint>();
          for (const { startedAt, totalGrains } of earnings.byPeriod) {
            const day = startedAt?.slice(0, 10) ?? 'before';
            days.set(day, (days.get(day) ?? 0n) + BigInt(totalGrains));
          }
          return [
            earnings,
            table(
              ['DAY', 'TOTAL'],
              [...days].map(([day, total]) => [day, acorns(total.toString())]),
              'nothing earned yet',
            ),
          ];
        }
        if (options.by !== 'kind')
          throw new NodeError(
            'bad-configuration',
            `expected --by day, contract or kind, got "${options.by}"`,
          );
        return [
          earnings,
          fields([
            ['total', acorns(earnings.totalGrains)],
            ['storage', acorns(earnings.storageGrains)],
            ['egress', acorns(earnings.egressGrains)],
            ['fees', acorns(earnings.feeGrains)],
            ['penalties', acorns(earnings.penaltyGrains)],
            ['next month', `${acorns(earnings.projectedMonthGrains)} from the contracts that live now`],
          ]),
        ];
      }),
    );
  const volumes = host.command('volumes').description('folders that fragments are kept in');
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
          limitBytes: parseSize(size),
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
          limitBytes: parseSize(size),
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

  const api = program
    .command('api')
    .description('the REST API')
    .command('token')
    .description('tokens for programs');
  api
    .command('create <name>')
    .description('make a token; it is shown once')
    .option('--role <role>', 'viewer, operator or owner', 'viewer')
    .action(
      run(async ({ client }, name: string, options: { role: string }) => {
        const token = await client.send<{ id: string; token: string; role: string }>('POST', '/tokens', {
          name,
          role: options.role,
        });
        return [
          token,
          `${token.token}\n(${token.role}; shown once; revoke with "blocktree api token revoke ${token.id}")`,
        ];
      }),
    );
  api
    .command('list')
    .description('list tokens')
    .action(
      run(async ({ client }) => {
        const { items } = await client.get<{
          items: { id: string; name: string; role: string; createdAt: string }[];
        }>('/tokens');
        return [
          items,
          table(
            ['ID', 'NAME', 'ROLE', 'CREATED'],
            items.map((one) => [one.id, one.name, one.role, one.createdAt.slice(0, 10)]),
            'no tokens',
          ),
        ];
      }),
    );
  api
    .command('revoke <id>')
    .description('make a token useless')
    .action(
      run(async ({ client }, id: string) => {
        await client.send('DELETE', `/tokens/${encodeURIComponent(id)}`);
        return [{ revoked: id }, `revoked ${id}`];
      }),
    );
}

/** Bytes of `500G`, `1.5T`, `1048576`. */
export function parseSize(text: string): number {
  const match = /^(\d{1,15}(?:\.\d{1,3})?)\s*([KMGT]?)(?:i?B)?$/i.exec(text.trim());
  if (match === null)
    throw new NodeError('bad-configuration', `expected a size such as 500G or 1.5T, got "${text}"`);
  const exponent = ['', 'K', 'M', 'G', 'T'].indexOf((match[2] as string).toUpperCase());
  return Math.floor(Number(match[1]) * 1_024 ** exponent);
}
