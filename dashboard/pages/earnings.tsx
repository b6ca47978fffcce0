import { useEffect, useRef } from 'preact/hooks';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { type Earnings as EarningsData, useApi } from '../api.ts';
import { Amount, Card, Empty, Figure, Id, Show, Table } from '../ui.tsx';

const PERIODS_PLOTTED = 120;
const GRAINS = 1e9;

function color(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

/** Bars of storage, egress and fees on top of each other, a bar a period. */
function Plot({ data }: { data: EarningsData['byPeriod'] }) {
  const place = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const element = place.current;
    if (element === null) return;
    const shown = data.slice(-PERIODS_PLOTTED);
    const value = (grains: string): number => Number(grains) / GRAINS;
    const storage = shown.map((one) => value(one.storageGrains));
    const egress = shown.map((one, i) => (storage[i] as number) + value(one.egressGrains));
    const fees = shown.map((one, i) => (egress[i] as number) + value(one.feeGrains));
    const penalties = shown.map((one) => -value(one.penaltyGrains));
    const bars = uPlot.paths.bars?.({ size: [0.7, 40], radius: 0.15 });
    const axis = {
      stroke: color('--muted'),
      grid: { stroke: color('--line'), width: 1 },
      ticks: { show: false },
    };
    const series = (label: string, name: string): uPlot.Series => ({
      label,
      fill: color(name),
      stroke: color(name),
      width: 0,
      points: { show: false },
      ...(bars === undefined ? {} : { paths: bars }),
    });
    const plot = new uPlot(
      {
        width: element.clientWidth,
        height: 280,
        legend: { show: false },
        cursor: { y: false },
        scales: {
          x: { time: false, range: (_, min, max) => [min - 0.6, max + 0.6] },
          y: { range: (_, min, max) => [Math.min(0, min), max <= 0 ? 1 : max * 1.1] },
        },
        axes: [
          {
            ...axis,
            values: (_, splits) => splits.map((split) => (Number.isInteger(split) ? `${split}` : '')),
          },
          {
            ...axis,
            size: 76,
            values: (_, splits) => splits.map((split) => `${+split.toPrecision(3)}`),
          },
        ],
        series: [
          { label: 'Period' },
          series('Fees', '--plot-fees'),
          series('Egress', '--plot-egress'),
          series('Storage', '--plot-storage'),
          series('Penalties', '--bad'),
        ],
      },
      [shown.map(({ period }) => period), fees, egress, storage, penalties],
      element,
    );
    const resize = new ResizeObserver(() => plot.setSize({ width: element.clientWidth, height: 280 }));
    resize.observe(element);
    return () => {
      resize.disconnect();
      plot.destroy();
    };
  }, [data]);
  return (
    <div
      ref={place}
      class="plot"
      role="img"
      aria-label="Earnings by period; the same figures stand in the table below"
    />
  );
}

function csv(data: EarningsData): string {
  const names = ['totalGrains', 'storageGrains', 'egressGrains', 'feeGrains', 'penaltyGrains'] as const;
  const rows = data.byPeriod.map((one) =>
    [one.period, one.startedAt ?? '', ...names.map((name) => one[name])].join(','),
  );
  return [`period,startedAt,${names.join(',')}`, ...rows].join('\n');
}

export function Earnings() {
  const earnings = useApi<EarningsData>('/host/earnings');
  return (
    <Show from={earnings}>
      {(data) => (
        <div class="grid">
          <Card
            title="By period"
            wide
            action={
              <a
                class="button"
                download="earnings.csv"
                href={`data:text/csv;charset=utf-8,${encodeURIComponent(csv(data))}`}
              >
                CSV
              </a>
            }
          >
            {data.byPeriod.length === 0 ? (
              <Empty title="Nothing earned yet">
                The first payment comes in the period after somebody stores something here.
              </Empty>
            ) : (
              <>
                <Plot data={data.byPeriod} />
                <ul class="legend" aria-hidden="true">
                  <li class="storage">Storage</li>
                  <li class="egress">Egress</li>
                  <li class="fees">Fees</li>
                  <li class="penalty">Penalties</li>
                </ul>
              </>
            )}
            <dl class="figures">
              <Figure label="Storage">
                <Amount grains={data.storageGrains} />
              </Figure>
              <Figure label="Egress">
                <Amount grains={data.egressGrains} />
              </Figure>
              <Figure label="Fees">
                <Amount grains={data.feeGrains} />
              </Figure>
              <Figure label="Penalties">
                <Amount grains={data.penaltyGrains} />
              </Figure>
              <Figure label="Total">
                <Amount grains={data.totalGrains} />
              </Figure>
            </dl>
          </Card>
          <Card title="By contract" wide>
            {data.byContract.length === 0 ? (
              <Empty title="No contract has paid yet" />
            ) : (
              <Table
                label="Earnings by contract"
                head={['Contract', 'Storage', 'Egress', 'Penalties', 'Total']}
              >
                {data.byContract.map((one) => (
                  <tr key={one.contractId}>
                    <td>
                      <Id id={one.contractId} kind="contract" />
                    </td>
                    <td>
                      <Amount grains={one.storageGrains} />
                    </td>
                    <td>
                      <Amount grains={one.egressGrains} />
                    </td>
                    <td>
                      <Amount grains={one.penaltyGrains} />
                    </td>
                    <td>
                      <Amount grains={one.totalGrains} />
                    </td>
                  </tr>
                ))}
              </Table>
            )}
          </Card>
        </div>
      )}
    </Show>
  );
}
