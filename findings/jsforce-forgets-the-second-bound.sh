#!/usr/bin/env bash
# jsforce: of two bounds for one field one is kept, and none of an empty list is all
#
# Most would expect: find({CreatedDate: {$gte: a, $lt: b}}), in the form that MongoDB's
#   queries have, asks for what lies between; {Id: {$in: []}} finds nothing, as it does
#   there; limit(0) is none or an error.
# Instead: the second bound is dropped without a word: WHERE CreatedDate >= a, without end.
#   An empty list drops its whole condition, so that the query has no WHERE and finds each
#   record there is. undefined does the same, though null is "= null"; limit(0) is no limit.
#   Two fields are joined by AND, as expected, and so are two bounds with $and.
# Seen with: @jsforce/jsforce-node 3.10.16 (npm, the newest for Node 20; 3.12.0 has the same
#   lines), 2026-11-29. Source: lib/soql-builder.js, createFieldExpression, which leaves its
#   loop over the operators at the first.
# Why it matters here: a relay asks for the cases of the last hour, or of the customers it
#   found. On a quiet day, with none found, it reads every case; and find().update() and
#   find().destroy() take the same conditions.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

npm init -y >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts @jsforce/jsforce-node@3.10.16 >/dev/null

cat >show.cjs <<'END'
const assert = require('node:assert');
const { Connection, SfDate } = require('@jsforce/jsforce-node');
const { version } = require('@jsforce/jsforce-node/package.json');

const cases = new Connection({ instanceUrl: 'http://127.0.0.1:9', accessToken: 'made up' }).sobject('Case');
const date = day => SfDate.toDateTimeLiteral(new Date(`2026-11-${day}T00:00:00Z`));
const soql = (conditions, change = query => query) => change(cases.find(conditions, 'Id')).toSOQL();

(async () => {
  const seen = {
    'two fields': await soql({ Status: 'New', Origin: 'Email' }),
    'a list': await soql({ Status: { $in: ['New', 'Working'] } }),
    'two bounds, $and': await soql({ $and: [{ CreatedDate: { $gte: date(27) } }, { CreatedDate: { $lt: date(28) } }] }),
    'two bounds': await soql({ CreatedDate: { $gte: date(27), $lt: date(28) } }),
    'an empty list': await soql({ AccountId: { $in: [] } }),
    undefined: await soql({ AccountId: undefined }),
    null: await soql({ AccountId: null }),
    'limit(1)': await soql({ Status: 'New' }, query => query.limit(1)),
    'limit(0)': await soql({ Status: 'New' }, query => query.limit(0)),
  };
  console.log('@jsforce/jsforce-node', version);
  for (const [name, text] of Object.entries(seen)) console.log(name.padEnd(18), text);
  const where = name => seen[name].replace('SELECT Id FROM Case', '').replace(' WHERE ', '');
  assert.equal(where('two fields'), "Status = 'New' AND Origin = 'Email'", 'the control failed');
  assert.equal(where('a list'), "Status IN ('New', 'Working')", 'the second control failed');
  assert.match(where('two bounds, $and'), /CreatedDate >= 2026-11-27T00:00:00Z.* AND .*CreatedDate < 2026-11-28T00:00:00Z/, 'the third control failed');
  assert.equal(where('null'), 'AccountId = null', 'the fourth control failed');
  assert.match(seen['limit(1)'], / LIMIT 1$/, 'the fifth control failed');
  assert.equal(where('two bounds'), 'CreatedDate >= 2026-11-27T00:00:00Z', 'both bounds are kept now');
  assert.equal(where('an empty list'), '', 'an empty list finds nothing now');
  assert.equal(where('undefined'), '', 'undefined is a condition now');
  assert.equal(where('limit(0)'), "Status = 'New'", 'limit(0) is a limit now');
})();
END
node show.cjs
