import type { Command } from 'commander';
import { amount, oneOf, wholeNumber } from './arguments.ts';
import { acorns, bytes, fields, short, table } from './output.ts';
import type { Runner } from './runner.ts';
import { volumeCommands } from './volume-commands.ts';

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

/** Longest contract that the ledger takes. */
const PERIODS_MAX = 1_048_576;

const whole = (text: string | undefined, name: string, least: number, most: number): number | undefined =>
  text === undefined ? undefined : wholeNumber(text, name, least, most);

/** host: offer, contracts, earnings, volumes. */
export function hostCommands(program: Command, run: Runner): void {
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
            offer = (
              await client.send<{ offer: OfferJson | null }>('PUT', '/host/offer', {
                offer: {
                  priceGrainsPerGiBPeriod:
                    price === undefined
                      ? (before?.priceGrainsPerGiBPeriod ?? '100000000')
                      : amount(price).toString(),
                  egressGrainsPerGiB:
                    egress === undefined
                      ? (before?.egressGrainsPerGiB ?? '10000000')
                      : amount(egress).toString(),
                  collateralPercent:
                    whole(collateral, '--collateral', 0, 1_000) ?? before?.collateralPercent ?? 50,
                  periodsMin: whole(shortest, '--shortest', 1, PERIODS_MAX) ?? before?.periodsMin ?? 1,
                  periodsMax: whole(longest, '--longest', 1, PERIODS_MAX) ?? before?.periodsMax ?? 10_000,
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
        const by = oneOf(options.by, '--by', ['day', 'contract', 'kind']);
        const earnings = await client.get<Earnings>('/host/earnings');
        if (by === 'contract') {
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
        if (by === 'day') {
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
  volumeCommands(host, run);
}
