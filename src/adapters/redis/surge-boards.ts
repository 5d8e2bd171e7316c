/** The surge board under `surge:board`: a hash of its instant and the whole board, so that a late writer cannot put back an old one. */
import type { SurgeBoard } from '../../domain/surge/rules.ts';
import type { SurgeBoards } from '../../ports/surge-boards.ts';
import { orAway } from './connection.ts';
import type { ScriptedRedis } from './scripts.ts';

const KEY = 'surge:board';

/**
 * KEYS 1 board; ARGV 1 its instant, 2 JSON, 3 ttl ms
 * reply: 1 kept, 0 a newer one is there
 */
const save = `
local at = redis.call('HGET', KEYS[1], 'at')
if at and tonumber(at) > tonumber(ARGV[1]) then return 0 end
redis.call('HSET', KEYS[1], 'at', ARGV[1], 'board', ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1
`;

export function createRedisSurgeBoards(redis: ScriptedRedis): SurgeBoards {
  redis.defineCommand('rideSaveSurgeBoard', { numberOfKeys: 1, lua: save });
  const scripts = redis as unknown as {
    rideSaveSurgeBoard(key: string, at: number, board: string, ttlMs: number): Promise<0 | 1>;
  };
  return {
    async read() {
      const board = await orAway(redis.hget(KEY, 'board'));
      return board === null ? null : (JSON.parse(board) as SurgeBoard);
    },
    async save(board, ttlMs) {
      const kept = await orAway(scripts.rideSaveSurgeBoard(KEY, board.at, JSON.stringify(board), Math.ceil(ttlMs)));
      return kept === 1;
    },
  };
}
