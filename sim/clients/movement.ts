/** A vehicle on a straight line: where it is at any domain time, worked out when asked and never ticked. */
import { between, distanceM, headingDeg, type Point, roundPoint } from '../geo.ts';

export class Movement {
  private from: Point;
  private to: Point;
  private startMs = 0;
  private endMs = 0;

  constructor(at: Point) {
    this.from = at;
    this.to = at;
  }

  at(nowMs: number): Point {
    if (nowMs >= this.endMs) return this.to;
    return roundPoint(between(this.from, this.to, (nowMs - this.startMs) / (this.endMs - this.startMs)));
  }

  /** Sets off from where it is now; gives the domain time of arrival. */
  driveAt(to: Point, speedMps: number, nowMs: number): number {
    return this.driveFor(to, distanceM(this.at(nowMs), to) / speedMps, nowMs);
  }

  driveFor(to: Point, durationS: number, nowMs: number): number {
    this.from = this.at(nowMs);
    this.to = to;
    this.startMs = nowMs;
    this.endMs = nowMs + durationS * 1000;
    return this.endMs;
  }

  /** Stays where it is. */
  stop(nowMs: number): void {
    this.driveFor(this.at(nowMs), 0, nowMs);
  }

  /** Speed over the ground, metres a second, and heading; a vehicle that stands has no heading. */
  motion(nowMs: number): { speedMps: number; headingDeg?: number } {
    if (nowMs >= this.endMs || this.endMs === this.startMs) return { speedMps: 0 };
    const speedMps = distanceM(this.from, this.to) / ((this.endMs - this.startMs) / 1000);
    return { speedMps: Math.round(speedMps * 10) / 10, headingDeg: Math.round(headingDeg(this.from, this.to)) };
  }
}
