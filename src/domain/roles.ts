/** Who may do what starts with who someone is. Document C's passenger and E's client are riders, E's porter is a driver. */
export const roles = ['rider', 'driver', 'admin', 'dispatcher', 'service'] as const;
export type Role = (typeof roles)[number];

export const vehicleClasses = ['standard', 'xl', 'premium', 'moto'] as const;
export type VehicleClass = (typeof vehicleClasses)[number];

/** A signed-in caller, the same on every transport. */
export interface Principal {
  userId: string;
  role: Role;
  city: string;
  vehicleClass: VehicleClass;
  /** Wall time at which the sign-in ends, epoch milliseconds. */
  expiresAt: number;
  premium: boolean;
  /** SHA-256 of the access token, base64url: what stands for it where the token itself must not be kept. */
  tokenHash?: string;
}

/** People of the company who watch a whole city and answer alerts. */
export const isStaff = (role: Role): boolean => role === 'admin' || role === 'dispatcher';

/** Operators see and cancel any trip; services act for others. */
export const isOperator = (role: Role): boolean => isStaff(role) || role === 'service';
