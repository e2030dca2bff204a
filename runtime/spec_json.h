/* SPDX-License-Identifier: MIT */
/*
 * A spec as JSON, and back: spec.json beside a VR's state, which europa-inspect shows, and the manifest of a checkpoint, which may have
 * come from anywhere. What is read is checked as strictly as a command line.
 */
#ifndef EUROPA_SPEC_JSON_H
#define EUROPA_SPEC_JSON_H

#include <jansson.h>

#include "runtime/spec.h"

struct error;

/* A text, or null. What is no UTF-8 is shown as \xNN, and *lossy is true then. */
json_t *text_json(const char *text, bool *lossy);

/* NULL: no memory. What is no UTF-8 is shown as \xNN, and "lossy" is true then: such a spec isn't taken back. */
json_t *spec_json(const struct vr_spec *spec);
char *spec_print(const struct vr_spec *spec);

/* Fills *spec, all zero before; the caller calls spec_release, also after an error. */
int spec_parse(json_t *json, struct vr_spec *spec, struct error *e);

json_t *limits_json(const struct vr_limits *limits);
int limits_parse(json_t *json, struct vr_limits *limits, struct error *e);

/* "02:00:00:00:00:01"; text has 18 bytes. */
void mac_print(const uint8_t mac[6], char text[18]);

/* What jansson complains of, as one printable line; -EINVAL. */
int json_complaint(const json_error_t *error, struct error *e);
/* 0, or -EINVAL and "WHAT N: expected MIN to MAX". */
int json_in_range(const char *what, json_int_t n, json_int_t min, json_int_t max, struct error *e);

static inline void auto_json_free(json_t **json)
{
	json_decref(*json);
}
#define auto_json __attribute__((cleanup(auto_json_free)))

#endif
