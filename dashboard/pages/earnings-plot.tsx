import { useEffect, useRef, useState } from 'preact/hooks';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import type { Earnings as EarningsData } from '../api.ts';
import { byDay, DAY_MS, type Sums } from '../by-day.ts';
import { acorns, dateTime } from '../format.ts';
import { Amount } from '../ui.tsx';

const BARS_PLOTTED = 120;
const BAR_SPACE = 8;
const GRAINS = 1e9;

function color(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

const HEIGHT = 280;
const WHOLE_STEPS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000];

export type By = 'period' | 'day';

/** What was earned in a period or a day. */
interface Span extends Sums {
  /** Its place on the axis: the period's number, or days since 1970. */
  readonly at: number;
  readonly name: string;
  readonly began: string | null;
}

const dayName = (at: number): string =>
  new Date(at * DAY_MS).toLocaleDateString([], { timeZone: 'UTC', month: 'short', day: 'numeric' });

export function spansOf(data: EarningsData['byPeriod'], by: By): readonly Span[] {
  if (by === 'day')
    return byDay(data).map(({ day, sums }) => ({ ...sums, at: day, name: dayName(day), began: null }));
  return data.map((one) => ({ ...one, at: one.period, name: `Period ${one.period}`, began: one.startedAt }));
}

/** Columns for the plot, in acorns: each kind stands on the one before, penalties hang below zero. */
function columns(shown: readonly Span[]): uPlot.AlignedData {
  const value = (grains: string): number => Number(grains) / GRAINS;
  const storage = shown.map((one) => value(one.storageGrains));
  const egress = shown.map((one, i) => (storage[i] as number) + value(one.egressGrains));
  const fees = shown.map((one, i) => (egress[i] as number) + value(one.feeGrains));
  const penalties = shown.map((one) => -value(one.penaltyGrains));
  return [shown.map(({ at }) => at), fees, egress, storage, penalties];
}

/** An amount at the axis: never in powers of ten, which nobody reads as money. */
function plotAmount(value: number): string {
  return acorns(BigInt(Math.round(value * GRAINS)));
}

function plotOptions(width: number, by: By, pointed: (index: number | undefined) => void): uPlot.Options {
  const bars = uPlot.paths.bars?.({ size: [0.7, 40], radius: 0.15 });
  const axis = { stroke: color('--muted'), ticks: { show: false } };
  const series = (label: string, name: string): uPlot.Series => ({
    label,
    fill: color(name),
    stroke: color(name),
    width: 0,
    points: { show: false },
    ...(bars === undefined ? {} : { paths: bars }),
  });
  return {
    width,
    height: HEIGHT,
    legend: { show: false },
    cursor: { y: false, drag: { x: false } },
    hooks: { setCursor: [(plot) => pointed(plot.cursor.idx ?? undefined)] },
    scales: {
      x: { time: false, range: (_, min, max) => [min - 0.6, max + 0.6] },
      y: { range: (_, min, max) => [Math.min(0, min * 1.1), max <= 0 ? 1 : max * 1.1] },
    },
    axes: [
      {
        ...axis,
        size: 34,
        grid: { show: false },
        incrs: WHOLE_STEPS,
        values: (_, splits) => splits.map((at) => (by === 'day' ? dayName(at) : String(at))),
      },
      {
        ...axis,
        size: 92,
        grid: { stroke: color('--line'), width: 1 },
        values: (_, splits) => splits.map(plotAmount),
      },
    ],
    series: [
      { label: by },
      series('Fees', '--plot-fees'),
      series('Egress', '--plot-egress'),
      series('Storage', '--plot-storage'),
      series('Penalties', '--bad'),
    ],
  };
}

/** Bars of storage, egress and fees on top of each other, a bar a span; pointing at one reads it out below. */
export function Plot({ data, by }: { data: readonly Span[]; by: By }) {
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot>(undefined);
  const [index, setIndex] = useState<number>();
  const [room, setRoom] = useState(BARS_PLOTTED);
  const shown = data.slice(-room);
  const newest = useRef(shown);
  newest.current = shown;
  useEffect(() => {
    const element = place.current;
    if (element === null) return;
    // Colours are read when it is drawn, so another theme means another plot.
    const draw = (): void => {
      plot.current?.destroy();
      plot.current = new uPlot(
        plotOptions(element.clientWidth, by, setIndex),
        columns(newest.current),
        element,
      );
    };
    draw();
    const resize = new ResizeObserver(() => {
      plot.current?.setSize({ width: element.clientWidth, height: HEIGHT });
      setRoom(Math.max(1, Math.min(BARS_PLOTTED, Math.floor(element.clientWidth / BAR_SPACE))));
    });
    resize.observe(element);
    const themes = new MutationObserver(draw);
    themes.observe(document.documentElement, { attributeFilter: ['data-theme'] });
    return () => {
      resize.disconnect();
      themes.disconnect();
      plot.current?.destroy();
    };
  }, []);
  useEffect(() => plot.current?.setData(columns(newest.current)), [data, room]);
  const read = shown[index ?? shown.length - 1];
  return (
    <>
      <div
        ref={place}
        class="plot"
        role="img"
        aria-label={`Earnings by ${by}; the figures by period stand in the table below`}
      />
      {read !== undefined && (
        <p class="readout" aria-hidden="true">
          <strong>{read.name}</strong>
          {read.began !== null && ` · ${dateTime(read.began)}`} · <Amount grains={read.totalGrains} />
        </p>
      )}
    </>
  );
}
