/* test_config_docs_schema.c: the JSON Schema, byte by byte.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "cmocka_all.h"
#include "core/config_docs.h"
#include "core/config_docs_sample.h"
#include "core/config_sample.h"

static const char expected[] =
    "{\n"
    "  \"$schema\": \"https://json-schema.org/draft/2020-12/schema\",\n"
    "  \"title\": \"plimsoll.yaml\",\n"
    "  \"description\": \"The configuration of Plimsoll.\",\n"
    "  \"type\": [\n"
    "    \"object\",\n"
    "    \"null\"\n"
    "  ],\n"
    "  \"properties\": {\n"
    "    \"outer\": {\n"
    "      \"description\": \"Outside. A change takes effect after a restart.\",\n"
    "      \"type\": [\n"
    "        \"object\",\n"
    "        \"null\"\n"
    "      ],\n"
    "      \"propertyNames\": {\n"
    "        \"pattern\": \"^[A-Za-z0-9._-]{1,64}$\"\n"
    "      },\n"
    "      \"additionalProperties\": {\n"
    "        \"type\": [\n"
    "          \"object\",\n"
    "          \"null\"\n"
    "        ],\n"
    "        \"properties\": {\n"
    "          \"inner\": {\n"
    "            \"description\": \"Inside. Written as a list of groups of keys, at most 2 "
    "entries.\",\n"
    "            \"type\": [\n"
    "              \"array\",\n"
    "              \"null\"\n"
    "            ],\n"
    "            \"items\": {\n"
    "              \"type\": \"object\",\n"
    "              \"properties\": {\n"
    "                \"rate\": {\n"
    "                  \"description\": \"How many. Written as a rate such as 10/s, 100/min, 20/h "
    "or 1000/d, count at most 100.\",\n"
    "                  \"anyOf\": [\n"
    "                    {\n"
    "                      \"type\": \"string\",\n"
    "                      \"pattern\": \"^[1-9][0-9]*/(s|min|h|d)$\"\n"
    "                    },\n"
    "                    {\n"
    "                      \"$ref\": \"#/$defs/variable\"\n"
    "                    }\n"
    "                  ]\n"
    "                },\n"
    "                \"modes\": {\n"
    "                  \"description\": \"Ways.\",\n"
    "                  \"type\": [\n"
    "                    \"array\",\n"
    "                    \"null\"\n"
    "                  ],\n"
    "                  \"items\": {\n"
    "                    \"anyOf\": [\n"
    "                      {\n"
    "                        \"enum\": [\n"
    "                          \"fast\",\n"
    "                          \"a|b\"\n"
    "                        ]\n"
    "                      },\n"
    "                      {\n"
    "                        \"$ref\": \"#/$defs/variable\"\n"
    "                      }\n"
    "                    ]\n"
    "                  },\n"
    "                  \"default\": [\n"
    "                    \"fast\",\n"
    "                    \"a|b\"\n"
    "                  ]\n"
    "                }\n"
    "              },\n"
    "              \"required\": [\n"
    "                \"rate\"\n"
    "              ],\n"
    "              \"additionalProperties\": false\n"
    "            },\n"
    "            \"minItems\": 0,\n"
    "            \"maxItems\": 2\n"
    "          },\n"
    "          \"share\": {\n"
    "            \"description\": \"A \\\"part\\\" | of\\nit. Written as a percentage such as 20 "
    "or 12.5%, at most 50%.\",\n"
    "            \"anyOf\": [\n"
    "              {\n"
    "                \"type\": [\n"
    "                  \"number\",\n"
    "                  \"string\"\n"
    "                ],\n"
    "                \"minimum\": 0,\n"
    "                \"maximum\": 50,\n"
    "                \"pattern\": \"^(0|[1-9][0-9]*)(\\\\.[0-9]{1,2})?%?$\"\n"
    "              },\n"
    "              {\n"
    "                \"$ref\": \"#/$defs/variable\"\n"
    "              }\n"
    "            ],\n"
    "            \"default\": \"12.5%\"\n"
    "          }\n"
    "        },\n"
    "        \"additionalProperties\": false\n"
    "      }\n"
    "    },\n"
    "    \"size\": {\n"
    "      \"description\": \"How large. Written as a size such as 512b, 16kb, 1mb or 2gb, at "
    "least 1kb.\",\n"
    "      \"anyOf\": [\n"
    "        {\n"
    "          \"type\": [\n"
    "            \"string\",\n"
    "            \"integer\"\n"
    "          ],\n"
    "          \"minimum\": 1024,\n"
    "          \"pattern\": \"^(0|[1-9][0-9]*)([KkMmGgTt]?[Bb])?$\"\n"
    "        },\n"
    "        {\n"
    "          \"$ref\": \"#/$defs/variable\"\n"
    "        },\n"
    "        {\n"
    "          \"$ref\": \"#/$defs/off\"\n"
    "        }\n"
    "      ]\n"
    "    }\n"
    "  },\n"
    "  \"additionalProperties\": false,\n"
    "  \"$defs\": {\n"
    "    \"variable\": {\n"
    "      \"type\": \"string\",\n"
    "      \"pattern\": \"\\\\$\\\\{[A-Za-z_][A-Za-z0-9_]*\\\\}\"\n"
    "    },\n"
    "    \"off\": {\n"
    "      \"enum\": [\n"
    "        \"off\",\n"
    "        false,\n"
    "        null\n"
    "      ]\n"
    "    }\n"
    "  }\n"
    "}\n";

static void test_schema_says_what_the_tables_say(void **state)
{
    (void)state;
    struct buf out CLEANUP(buf_done);
    const char *text = NULL;
    buf_init(&out, 1 << 20);
    assert_true(err_ok(config_docs_schema(docs_tables, &out)));
    assert_true(err_ok(buf_text(&out, &text)));
    assert_string_equal(text, expected);
}

static void test_schema_past_its_buffer_is_an_error(void **state)
{
    (void)state;
    struct buf whole CLEANUP(buf_done);
    buf_init(&whole, 1 << 20);
    assert_true(err_ok(config_docs_schema(sample_tables, &whole)));
    for (size_t max = 1; max < whole.len; max += 997) {
        struct buf out CLEANUP(buf_done);
        buf_init(&out, max);
        assert_true(err_is(config_docs_schema(sample_tables, &out), ERR_TOO_LARGE));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_schema_says_what_the_tables_say),
        cmocka_unit_test(test_schema_past_its_buffer_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
