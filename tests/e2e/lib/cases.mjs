// cases.mjs: reads the case files of tests/data/http1, one case a line.
//
// Escapes: \r \n \t \0 \s (space) \\ \xHH, and \{N:text} for text N times.

import { existsSync, readFileSync } from 'node:fs';

const SIMPLE = { r: '\r', n: '\n', t: '\t', 0: '\0', s: ' ', '\\': '\\' };

function unescape(text) {
  const repeated = text.replace(/\\\{(\d+):((?:\\.|[^}\\])*)\}/g, (_, count, what) => what.repeat(Number(count)));
  return repeated.replace(/\\(?:x([0-9a-fA-F]{2})|(.))/g, (whole, hex, letter) => {
    if (hex !== undefined) return String.fromCharCode(parseInt(hex, 16));
    if (!(letter in SIMPLE)) throw new Error(`unknown escape ${whole} in: ${text}`);
    return SIMPLE[letter];
  });
}

// `columns` names what stands before the raw bytes. An absent file has no cases.
export function readCases(url, columns) {
  if (!existsSync(url)) return [];
  return readFileSync(url, 'latin1').split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => {
      const found = {};
      let rest = line;
      for (const column of columns) {
        const space = rest.indexOf(' ');
        found[column] = rest.slice(0, space);
        rest = rest.slice(space + 1);
      }
      return { ...found, bytes: unescape(rest) };
    });
}
