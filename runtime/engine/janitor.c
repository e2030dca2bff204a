// SPDX-License-Identifier: MIT
#include "runtime/engine/janitor.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#include "runtime/error.h"

struct job {
	struct job *next;
	void (*do_it)(void *);
	void *arg;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t came = PTHREAD_COND_INITIALIZER;
static struct job *first, **last = &first;
static bool stop;
static pthread_t thread;

static struct job *next_job(void)
{
	struct job *job;

	pthread_mutex_lock(&lock);
	while (!first && !stop)
		pthread_cond_wait(&came, &lock);
	job = first;
	if (job) {
		first = job->next;
		if (!first)
			last = &first;
	}
	pthread_mutex_unlock(&lock);
	return job;
}

static void *janitor(void *unused)
{
	struct job *job;

	pthread_setname_np(pthread_self(), "europad-janitor");
	while ((job = next_job())) {
		job->do_it(job->arg);
		free(job);
	}
	return NULL;
}

int janitor_start(struct error *e)
{
	int r = pthread_create(&thread, NULL, janitor, NULL);

	return r ? fail(e, r, "cannot start the janitor's thread") : 0;
}

void janitor_later(void (*do_it)(void *), void *arg)
{
	struct job *job = malloc(sizeof *job);

	if (!job) {
		do_it(arg);
		return;
	}
	*job = (struct job){ .do_it = do_it, .arg = arg };
	pthread_mutex_lock(&lock);
	*last = job;
	last = &job->next;
	pthread_cond_signal(&came);
	pthread_mutex_unlock(&lock);
}

void janitor_stop(void)
{
	pthread_mutex_lock(&lock);
	stop = true;
	pthread_cond_signal(&came);
	pthread_mutex_unlock(&lock);
	pthread_join(thread, NULL);
}
