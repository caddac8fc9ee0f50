/* intake.h: the first two steps: who asks, under which ids, for what path, and which route answers.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "edge/exchange.h"

enum exchange_verdict intake_accept(struct exchange *x);
enum exchange_verdict intake_route(struct exchange *x);
