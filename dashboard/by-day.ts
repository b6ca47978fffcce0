/** Earnings of periods gathered into the days, by the clock of this browser, in which the periods began. */

export const DAY_MS = 86_400_000;

const KINDS = ['totalGrains', 'storageGrains', 'egressGrains', 'feeGrains', 'penaltyGrains'] as const;
export type Sums = Readonly<Record<(typeof KINDS)[number], string>>;

export interface DaySums {
  /** Days since 1970 of the calendar day. */
  readonly day: number;
  readonly sums: Sums;
}

const NOTHING: Sums = {
  totalGrains: '0',
  storageGrains: '0',
  egressGrains: '0',
  feeGrains: '0',
  penaltyGrains: '0',
};

function dayOf(iso: string): number {
  const at = new Date(iso);
  return Date.UTC(at.getFullYear(), at.getMonth(), at.getDate()) / DAY_MS;
}

/** The days in order, those between without earnings too. A period whose beginning is not known counts to the day before it. */
export function byDay(
  periods: readonly (Sums & { readonly startedAt: string | null })[],
): readonly DaySums[] {
  const days: DaySums[] = [];
  for (const period of periods) {
    const last = days.at(-1);
    const day = period.startedAt === null ? last?.day : dayOf(period.startedAt);
    if (day === undefined) continue;
    for (let between = (last?.day ?? day - 1) + 1; between <= day; between++)
      days.push({ day: between, sums: NOTHING });
    const at = days.length - 1;
    const before = days[at]?.sums ?? NOTHING;
    const sums = Object.fromEntries(
      KINDS.map((kind) => [kind, (BigInt(before[kind]) + BigInt(period[kind])).toString()]),
    ) as unknown as Sums;
    days[at] = { day: days[at]?.day ?? day, sums };
  }
  return days;
}
