/**
 * What a delivery is beside a trip: who hands the parcel over and who takes it, what it weighs, and how it is proved that it was
 * delivered, by a code that the sender gives to whoever takes it, or by a photo. Pure.
 */
import type { VehicleClass } from '../roles.ts';

export interface Contact {
  name: string;
  phone: string;
}

export interface Parcel {
  description: string;
  weightG: number;
  fragile?: boolean;
}

export const proofKinds = ['code', 'photo'] as const;
export type ProofKind = (typeof proofKinds)[number];

export interface Proof {
  kind: ProofKind;
  /** Where the photo is kept, by the name that the client gave it. */
  photoRef?: string;
  at: number;
}

export interface Delivery {
  pickupContact: Contact;
  dropoffContact: Contact;
  parcel: Parcel;
  /** What its sender accepts. */
  accepts: ProofKind[];
  /** Known to the sender, who tells it to whoever takes the parcel. */
  code: string;
  wrongCodes: number;
  proof?: Proof;
}

/** What a porter shows at the door. */
export type Shown = { code: string } | { photoRef: string };

/** What somebody may see of a delivery: contacts are for those who hand it over, the code is the sender's. */
export interface Sight {
  contacts: boolean;
  code: boolean;
}

/** After so many wrong codes none is right any more, and a photo is taken instead. */
export const CODES_MAX = 5;

export const codesLeft = ({ wrongCodes }: Delivery): number => Math.max(0, CODES_MAX - wrongCodes);

/** Kinds of proof that it takes now. */
export function proofsTaken(delivery: Delivery): ProofKind[] {
  if (codesLeft(delivery) > 0) return delivery.accepts;
  return ['photo'];
}

export type Judgement = { proof: Proof } | { wrongCode: true } | { takes: ProofKind[] };

/** The proof, or that the code is a wrong one, or what is taken instead. */
export function judge(delivery: Delivery, shown: Shown | undefined, now: number): Judgement {
  const takes = proofsTaken(delivery);
  if (shown && 'photoRef' in shown && takes.includes('photo'))
    return { proof: { kind: 'photo', photoRef: shown.photoRef, at: now } };
  if (shown && 'code' in shown && takes.includes('code'))
    return shown.code === delivery.code ? { proof: { kind: 'code', at: now } } : { wrongCode: true };
  return { takes };
}

/** Grams that a vehicle takes. */
const CAPACITY_G: Readonly<Record<VehicleClass, number>> = {
  moto: 15_000,
  standard: 60_000,
  premium: 60_000,
  xl: 400_000,
};
export const WEIGHT_MAX_G = Math.max(...Object.values(CAPACITY_G));

export const carries = (vehicleClass: VehicleClass, { weightG }: Parcel): boolean =>
  weightG <= CAPACITY_G[vehicleClass];

/** The smallest class that takes the parcel; null when none does. */
export const classFor = (parcel: Parcel): VehicleClass | null =>
  (['moto', 'standard', 'xl'] as const).find((vehicleClass) => carries(vehicleClass, parcel)) ?? null;
