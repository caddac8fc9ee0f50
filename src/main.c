/* main.c: the composition root: the only file that sees every part.
 *
 * The order of the array is the order of init and start; stop and done go backward.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"
#include "dashboard/dashboard.h"
#include "edge/edge.h"
#include "observe/observe.h"
#include "operate/operate.h"

static const struct part *const parts[] = {&operate_part,   &edge_part, &observe_part,
                                           &dashboard_part, &cli_part,  NULL};

int main(int argc, char **argv)
{
    return cli_main(parts, argc, argv);
}
