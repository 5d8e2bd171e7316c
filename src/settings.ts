/** From the flat Config to what each part takes. */
import { randomBytes } from 'node:crypto';
import { type FastifyServerOptions, LogController } from 'fastify';
import type { Config } from './config.ts';
import { safetyLimits } from './domain/safety/rules.ts';
import type { DomainSettings } from './domain/services.ts';
import { traceIdOf } from './domain/trace-context.ts';
import { invalidInput } from './errors.ts';
import type { GrpcOptions } from './grpc/server.ts';
import { sendProblem } from './plugins/errors.ts';
import { requestLog } from './plugins/request-log.ts';

/** Candidates that one assignment may look at, whatever the clock says: some seconds of work. */
const ASSIGNMENT_STEPS = 500_000_000;
/** A position is on its way for less, wall ms. */
const STALE_CLOCK_WALL_MS = 30_000;

export function domainSettings(c: Config): DomainSettings {
  return {
    travel: { detourFactor: c.detourFactor, averageSpeedMps: c.averageSpeedMps },
    routing: {
      matrixMax: c.routingMatrixMax,
      trafficFactor: c.trafficFactor,
      trafficHalfLifeMs: c.trafficHalfLife,
    },
    tariff: {
      currency: c.currency,
      baseMinor: c.fareBaseMinor,
      perKmMinor: c.farePerKmMinor,
      perMinuteMinor: c.farePerMinuteMinor,
      minimumMinor: c.fareMinimumMinor,
      waitingFreeS: Math.floor(c.fareWaitingFree / 1000),
      waitingPerMinuteMinor: c.fareWaitingPerMinuteMinor,
      cancellationFreeS: Math.floor(c.cancellationFree / 1000),
      cancellationFeeMinor: c.cancellationFeeMinor,
    },
    dispatch: {
      rings: { resolution: c.dispatchCellResolution, radiusM: c.matchRadiusM, enough: c.matchCandidates },
      decision: {
        freshnessMs: c.locationFreshness,
        maxEtaS: c.dispatchMaxEta / 1000,
        offers: c.dispatchOffers,
        weights: {
          idle: c.dispatchIdleWeight,
          idleCapS: c.dispatchIdleCap / 1000,
          acceptanceS: c.dispatchAcceptanceWeight / 1000,
          ratingS: c.dispatchRatingWeight / 1000,
          headingS: c.dispatchHeadingWeight / 1000,
          unservedS: c.dispatchUnservedWeight / 1000,
        },
        maxSteps: ASSIGNMENT_STEPS,
      },
      windowMs: c.dispatchWindow,
      windowTrips: c.dispatchWindowTrips,
      decideMs: c.dispatchTimeLimit,
      retryMs: c.matchRetry,
      offerTtlMs: c.offerTtl,
      maxOffers: c.maxOffers,
    },
    tripRequestTtlMs: c.tripRequestTtl,
    zoneBroadcastMax: c.zoneBroadcastMax,
    quoteTtlMs: c.quoteTtl,
    surge: {
      capPermille: Math.round(c.surgeCap * 1000),
      threshold: c.surgeThreshold,
      slope: c.surgeSlope,
      minDemand: c.surgeMinDemand,
      halfLifeMs: c.surgeHalfLife,
      neighbourShare: c.surgeNeighbourShare,
      intervalMs: c.surgeInterval * c.clockSpeed,
      windowMs: c.surgeWindow,
    },
    payments: {
      waitingAllowanceS: Math.floor(c.paymentsWaitingAllowance / 1000),
      holdLifeMs: c.paymentsHoldLife,
      renewAheadMs: c.paymentsRenewAhead,
      retryMs: c.paymentsRetry,
      retryMaxMs: c.paymentsRetryMax,
      attempts: c.paymentsAttempts,
      repairs: c.paymentsRepairs,
    },
    departures: {
      seatsMax: c.departureSeatsMax,
      aheadMaxMs: c.departureAheadMax,
      graceMs: c.departureGrace,
      terms: {
        closesBeforeMs: c.bookingCloses,
        boardsBeforeMs: c.departureBoarding,
        freeBeforeMs: c.bookingCancelFree,
        lateBeforeMs: c.bookingCancelLate,
        feePercent: c.bookingCancelFeePercent,
        lateFeePercent: c.bookingLateFeePercent,
        noShowFeePercent: c.bookingNoShowFeePercent,
        waitsMs: c.fareWaitingFree,
      },
    },
    dispatchAheadMs: c.dispatchAhead,
    arrivalRadiusM: c.arrivalRadiusM,
    locations: {
      skewMaxMs: c.clockSkewMax,
      freshnessMs: c.locationFreshness,
      etaRefreshMs: c.etaRefreshInterval,
      batchMax: c.locationBatchMax,
    },
    watch: {
      sampleEvery: c.locationSample,
      checkInAnswerMs: c.checkInAnswer,
      distrustMs: c.spoofingDistrust,
      // Where domain time flies, the way of a message takes long in it.
      staleClockMs: Math.max(c.staleClock, STALE_CLOCK_WALL_MS * c.clockSpeed),
      safety: {
        ...safetyLimits,
        deviation: { ...safetyLimits.deviation, setAt: c.routeDeviationM, clearAt: c.routeDeviationM / 2 },
        stop: { ...safetyLimits.stop, setAt: c.longStop },
        speed: { ...safetyLimits.speed, setAt: c.overspeedMps, clearAt: c.overspeedMps * 0.85 },
        silence: { ...safetyLimits.silence, setAt: c.signalLost },
      },
    },
  };
}

/** What signs quotes, and what is accepted beside it. */
export const quoteSecrets = (c: Config): [string, ...string[]] => [
  c.quoteSecret ?? c.jwtSecret,
  ...(c.quoteSecretPrevious ? [c.quoteSecretPrevious] : []),
];

/** Nothing where gRPC listens without TLS. */
export function grpcTls(c: Config): Pick<GrpcOptions, 'tls'> {
  if (!c.grpcTlsCert || !c.grpcTlsKey) return {};
  return { tls: { certFile: c.grpcTlsCert, keyFile: c.grpcTlsKey, clientCaFile: c.grpcTlsClientCa } };
}

/** Longer than any id. */
const MAX_PATH_PART = 200;
const CORR_ID = /^[\w.:-]{1,64}$/;

const ID_BYTES = 16;
/** Few enough that an id which is kept keeps little besides itself. */
const IDS_AT_ONCE = 64;

/** Random, of 32 hexadecimal digits, as W3C's trace ids are; cut from one text of many, which costs a small part of making each. */
function correlationIds(): () => string {
  let text = '';
  let at = 0;
  return () => {
    if (at === text.length) {
      text = randomBytes(ID_BYTES * IDS_AT_ONCE).toString('hex');
      at = 0;
    }
    const id = text.slice(at, at + 2 * ID_BYTES);
    at += 2 * ID_BYTES;
    return id;
  };
}

export function serverOptions(c: Config): Omit<FastifyServerOptions, 'logger'> {
  const nextId = correlationIds();
  return {
    bodyLimit: c.maxPayloadBytes,
    trustProxy: c.trustedProxies ? [...c.trustedProxies] : false,
    childLoggerFactory: requestLog,
    logController: new LogController({
      requestIdLogLabel: 'corr_id',
      // One line a request is for debugging; metrics count every one.
      disableRequestLogging: c.logLevel !== 'debug' && c.logLevel !== 'trace',
    }),
    genReqId: (request) => {
      const given = request.headers['x-correlation-id'];
      if (typeof given === 'string' && CORR_ID.test(given)) return given;
      // Who traces his calls finds ours by the same id.
      return traceIdOf(request.headers.traceparent) ?? nextId();
    },
    // A slow-loris client must not hold a connection for ever.
    requestTimeout: 30_000,
    routerOptions: { maxParamLength: MAX_PATH_PART },
    // What fails before there is a route has no error handler; it gets a problem document like everything else.
    frameworkErrors: (error, request, reply) => {
      const rule =
        error.code === 'FST_ERR_MAX_PARAM_LENGTH'
          ? `at most ${MAX_PATH_PART} characters in each part`
          : 'percent-encoded UTF-8';
      void reply.header('x-correlation-id', request.id);
      sendProblem(request, reply, invalidInput('path', rule));
    },
    forceCloseConnections: true,
  };
}

/** Values that must never reach a log, wherever they turn up. */
const REDACTED = [
  'req.headers.authorization',
  'headers.authorization',
  'token',
  'access_token',
  '*.token',
  '*.access_token',
  '*.phone',
  '*.email',
];

export function loggerOptions(c: Config): FastifyServerOptions['logger'] {
  return {
    level: c.logLevel,
    base: { node_id: c.nodeId, region: c.region },
    redact: { paths: REDACTED, censor: '[redacted]' },
    serializers: {
      // The query may carry a token.
      req: (request: { method: string; url: string; ip: string }) => ({
        method: request.method,
        path: request.url.split('?')[0],
        address: request.ip,
      }),
    },
  };
}
