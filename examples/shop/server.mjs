// server.mjs: starts one instance of the shop and stops it cleanly.
//
//   PORT   where to listen on 127.0.0.1 (3001)
//   NAME   what the instance calls itself (the port)
//   PEERS  ports of the other instances, so that /chaos can reach all of them ("3002")

import { createShop } from './shop.mjs';

const port = Number(process.env.PORT ?? 3001);
const name = process.env.NAME ?? String(port);
const peers = (process.env.PEERS ?? '').split(',').filter(Boolean).map(Number);

const shop = createShop({ name, peers });
shop.server.on('error', (error) => {
  console.error(`shop ${name}: ${error.message}`);
  process.exitCode = 1;
});
shop.server.listen(port, '127.0.0.1', () => {
  console.log(`shop ${name}: listening on http://127.0.0.1:${shop.server.address().port}`);
});

for (const signal of ['SIGTERM', 'SIGINT']) {
  process.once(signal, () => {
    console.log(`shop ${name}: stopping`);
    shop.stop();
  });
}
