import type { NodeId } from '../../ledger/ids.ts';
import type { Agenda } from './agenda.ts';
import type { NodeClock } from './clock.ts';
import type { Links } from './links.ts';
import type { Observer } from './observer.ts';
import type { Dice, Shape } from './shape.ts';

/** A node that things happen to. */
export interface Mortal {
  readonly id: NodeId;
  readonly up: boolean;
  readonly clock: NodeClock;
  crash(): void;
  restart(): void;
  /** Copies what it has on disk, for `suffer`. */
  backUp(): void;
  /** What befalls the disk of an honest member while it is down. */
  suffer(misfortune: Shape['misfortune']): void;
  /** Stops the machine, not its clock. */
  suspend(forMs: number): void;
  /** Leaves the disk without room. */
  fillDisk(forMs: number): void;
}

/** What it happens in. */
interface Surroundings {
  readonly agenda: Agenda;
  readonly dice: Dice;
  readonly ids: readonly NodeId[];
  readonly observer: Observer;
  readonly shape: Shape;
  readonly links: Pick<Links<never>, 'healed' | 'isSplit' | 'split' | 'join' | 'clog'>;
}

/** Every second: crashes, restarts, what befalls disks, links, clocks and machines, power cuts, partitions. */
export function harm(world: Surroundings, honest: readonly Mortal[], forgetful: ReadonlySet<NodeId>): void {
  const { agenda, dice, ids, links, observer, shape } = world;
  const suffered = new Set<NodeId>();
  const tick = (): void => {
    if (links.healed) return;
    for (const node of honest) {
      if (shape.misfortune === 'old backup' && forgetful.has(node.id) && dice.faults.chance(0.1))
        node.backUp();
      if (node.up && dice.faults.chance(shape.crashes)) node.crash();
      else if (!node.up && dice.faults.chance(0.4)) {
        if (forgetful.has(node.id) && !suffered.has(node.id)) {
          suffered.add(node.id);
          node.suffer(shape.misfortune);
        }
        node.restart();
      }
      if (shape.skewMaxMs > 0 && dice.faults.chance(0.02))
        node.clock.set(dice.faults.whole(-shape.skewMaxMs, shape.skewMaxMs));
      if (node.up && dice.faults.chance(shape.suspends)) node.suspend(dice.faults.whole(300, 9_000));
      if (dice.faults.chance(shape.fullDisks)) node.fillDisk(dice.faults.whole(500, 6_000));
    }
    if (dice.faults.chance(shape.clogs))
      links.clog(dice.faults.pick(ids), dice.faults.pick(ids), dice.faults.whole(200, 5_000));
    if (dice.faults.chance(shape.powerCuts)) {
      for (const node of honest) if (node.up) node.crash();
      observer.count('power cuts');
    }
    if (!links.isSplit && dice.faults.chance(shape.partitions)) {
      if (shape.lonely) observer.count('nodes cut off');
      links.split(
        shape.lonely
          ? new Map([[dice.faults.pick(ids), 1]])
          : new Map(ids.map((id) => [id, dice.faults.whole(0, 1)])),
      );
    } else if (links.isSplit && dice.faults.chance(0.3)) links.join();
    agenda.at(agenda.nowMs + 1_000, tick);
  };
  agenda.at(1_000, tick);
}
