/* SPDX-License-Identifier: MIT */
/* europa-run: makes a VR and supervises it until its data plane ends. */
#include "runtime/command.h"
#include "runtime/container.h"
#include "runtime/descriptors.h"
#include "runtime/error.h"
#include "runtime/launch.h"
#include "runtime/options.h"

int cmd_run(int argc, char **argv)
{
	struct vr_spec spec = { 0 };
	struct error e = { 0 };
	int err, status;

	if (container_list_steps())
		return 0;
	/* What the caller has open is nobody's business in there. */
	err = descriptors_tidy(&e);
	if (!err)
		err = options_run(argc, argv, &spec, &e);
	if (err)
		status = command_failed("run", &e, EXIT_OWN_ERROR);
	else
		status = launch("run", &spec, NULL);
	spec_release(&spec);
	return status;
}
