/*-------------------------------------------------------------------------
 * kafka_shared.c
 *		One client of librdkafka for several streams of this process.
 *
 * Only sx_kafka_share() and what it calls calls PostgreSQL.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

#include "commands/defrem.h"
#include "lib/stringinfo.h"

#include "source/kafka_shared.h"
#include "source/kafka_source.h"

/* topics of a client that asks often, and of one that does not */
#define FEW_TOPICS		16
#define CROWD_TOPICS	250

/* so many of the former may be of sources that need not be busy */
#define NEW_TOPICS		(2 * FEW_TOPICS)

/* how long what a client knows of all its topics is good */
#define ANSWER_MS	2000
#define FAILURE_MS	200

/* how often the watching thread asks, and for how long */
#define WATCH_FEW_MS		5000
#define WATCH_CROWD_MS		20000

/* who closes a client waits no longer when it is asking */
#define CLOSE_ASKING_MS		100

/* how long a question may take, over what one to fetch does */
#define TIMEOUT_MS			1500

struct SxKafkaShared
{
	SxKafkaShared *next;
	char	   *settings;		/* what the client was made of */
	SxKafkaRole role;
	bool		may_stay;		/* who is quiet, whatever the role; atomic */
	rd_kafka_t *rk;
	rd_kafka_queue_t *mainq;
	char	  **topics;			/* its sources', main thread only */
	int			maxtopics;
	pthread_t	watcher;
	bool		watching;		/* there is that thread */
	bool		stop;			/* it is to close the client; atomic */

	pthread_mutex_t lock;		/* for what follows */
	pthread_cond_t closed_cond;
	bool		closed;
	bool		abandoned;		/* nobody waits for that */
	int			ntopics;		/* changed by the main thread */
	SxKafkaTrouble trouble;		/* the last one */
	uint64		ntroubles;
	const struct rd_kafka_metadata *metadata;	/* of all topics */
	rd_kafka_resp_err_t err;	/* why there is none */
	int64		asked_ms;		/* 0: never */
	bool		asking;
	SxKafkaWatched *watched;
};

static SxKafkaShared *clients = NULL;

/* ---- main thread ------------------------------------------------------------- */

static void
append_options(StringInfo text, const List *options)
{
	ListCell   *lc;

	foreach(lc, options)
	{
		DefElem    *def = lfirst_node(DefElem, lc);

		appendStringInfo(text, "%s\n%s\n", def->defname, defGetString(def));
	}
	appendStringInfoChar(text, '\n');
}

/* All that a client's settings come from; passwords among it. */
static char *
settings_of(const SxStream *stream)
{
	const char *isolation = sx_option_get(stream->table_options, "isolation");
	StringInfoData text;

	initStringInfo(&text);
	append_options(&text, stream->server_options);
	append_options(&text, stream->user_options);
	appendStringInfoString(&text, isolation ? isolation : "");
	return text.data;
}

static bool
reads(const SxKafkaShared *shared, const char *topic)
{
	for (int i = 0; i < shared->ntopics; i++)
	{
		if (strcmp(shared->topics[i], topic) == 0)
			return true;
	}
	return false;
}

static bool
has_room(const SxKafkaShared *shared)
{
	return shared->ntopics < (shared->role == SX_KAFKA_CROWD ? CROWD_TOPICS : FEW_TOPICS);
}

static bool
add_topic(SxKafkaShared *shared, const char *topic)
{
	char	   *copy;

	if (shared->ntopics == shared->maxtopics)
	{
		int			max = Max(shared->maxtopics * 2, 8);
		char	  **topics = realloc(shared->topics, max * sizeof(char *));

		if (topics == NULL)
			return false;
		shared->topics = topics;
		shared->maxtopics = max;
	}
	copy = strdup(topic);
	if (copy == NULL)
		return false;
	shared->topics[shared->ntopics] = copy;
	pthread_mutex_lock(&shared->lock);
	shared->ntopics++;
	pthread_mutex_unlock(&shared->lock);
	return true;
}

static void *watch_main(void *arg);

static bool
start_watcher(SxKafkaShared *shared)
{
	sigset_t	all;
	sigset_t	before;

	/* signals are for the main thread */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	shared->watching = pthread_create(&shared->watcher, NULL, watch_main, shared) == 0;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return shared->watching;
}

static void
free_shared(SxKafkaShared *shared)
{
	pthread_cond_destroy(&shared->closed_cond);
	pthread_mutex_destroy(&shared->lock);
	if (shared->settings != NULL)
		explicit_bzero(shared->settings, strlen(shared->settings));
	free(shared->settings);
	free(shared->topics);
	free(shared);
}

static void
forget_metadata(SxKafkaShared *shared)
{
	if (shared->metadata != NULL)
		rd_kafka_metadata_destroy(shared->metadata);
	if (shared->mainq != NULL)
		rd_kafka_queue_destroy(shared->mainq);
}

/* Wait for the watching thread to close the client; a question takes its time. */
static bool
wait_closed(SxKafkaShared *shared, int timeout_ms)
{
	struct timespec until;
	bool		closed;

	clock_gettime(CLOCK_REALTIME, &until);
	pthread_mutex_lock(&shared->lock);
	if (shared->asking)
		timeout_ms = Min(timeout_ms, CLOSE_ASKING_MS);
	until.tv_sec += timeout_ms / 1000;
	until.tv_nsec += (timeout_ms % 1000) * 1000000L;
	if (until.tv_nsec >= 1000000000L)
	{
		until.tv_sec++;
		until.tv_nsec -= 1000000000L;
	}
	while (!shared->closed &&
		   pthread_cond_timedwait(&shared->closed_cond, &shared->lock, &until) != ETIMEDOUT)
		;
	closed = shared->closed;
	shared->abandoned = !closed;
	pthread_mutex_unlock(&shared->lock);
	return closed;
}

static void
close_shared(SxKafkaShared *shared, int timeout_ms)
{
	SxKafkaShared **link = &clients;

	while (*link != NULL && *link != shared)
		link = &(*link)->next;
	if (*link != NULL)
		*link = shared->next;
	if (shared->watching)
	{
		pthread_t	watcher = shared->watcher;

		__atomic_store_n(&shared->stop, true, __ATOMIC_RELEASE);
		rd_kafka_queue_yield(shared->mainq);
		if (!wait_closed(shared, timeout_ms))
		{
			pthread_detach(watcher);
			return;
		}
		pthread_join(watcher, NULL);
	}
	else
	{
		forget_metadata(shared);
		if (shared->rk != NULL)
			sx_kafka_destroy(shared->rk, timeout_ms);
	}
	free_shared(shared);
}

/* The lock is held, so that it does not go meanwhile. */
static void
tell(SxKafkaWatched *watched, int news)
{
	__atomic_fetch_or(&watched->news, news, __ATOMIC_ACQ_REL);
	rd_kafka_queue_yield(watched->queue);
}

/* There is a crowd now: quiet sources of the others belong there. */
static void
send_to(const SxKafkaShared *crowd)
{
	for (SxKafkaShared *shared = clients; shared != NULL; shared = shared->next)
	{
		if (shared->role == SX_KAFKA_CROWD || strcmp(shared->settings, crowd->settings) != 0)
			continue;
		pthread_mutex_lock(&shared->lock);
		__atomic_store_n(&shared->may_stay, false, __ATOMIC_RELEASE);
		for (SxKafkaWatched *w = shared->watched; w != NULL; w = w->next)
			tell(w, SX_KAFKA_NEWS_CROWD);
		pthread_mutex_unlock(&shared->lock);
	}
}

SxKafkaShared *
sx_kafka_share(const SxStream *stream, const char *topic, SxKafkaPace pace)
{
	char	   *settings = settings_of(stream);
	SxKafkaRole role = pace == SX_KAFKA_QUIET ? SX_KAFKA_CROWD : SX_KAFKA_READER;
	int			ntopics = 0;
	int			often = 0;
	bool		crowded = false;
	SxKafkaShared *shared;
	SxKafkaShared *crowd = NULL;

	for (shared = clients; shared != NULL; shared = shared->next)
	{
		if (strcmp(shared->settings, settings) != 0)
			continue;
		ntopics += shared->ntopics;
		if (shared->role == SX_KAFKA_READER)
			often += shared->ntopics;
		else
			crowded = true;
		if (reads(shared, topic) || !has_room(shared))
			continue;
		if (shared->role == role)
			break;
		if (shared->role == SX_KAFKA_CROWD)
			crowd = shared;
	}
	if (shared == NULL && pace == SX_KAFKA_NEW && often >= NEW_TOPICS)
	{
		role = SX_KAFKA_CROWD;
		shared = crowd;
	}
	if (shared == NULL)
	{
		rd_kafka_conf_t *conf = sx_kafka_conf(stream, role);
		rd_kafka_t *rk = sx_kafka_new(stream, role, conf);

		shared = calloc(1, sizeof(SxKafkaShared));
		if (shared == NULL)
			sx_kafka_destroy(rk, 0);
		else
		{
			shared->rk = rk;
			shared->role = role;
			shared->may_stay = role == SX_KAFKA_CROWD || (!crowded && ntopics < FEW_TOPICS);
			shared->mainq = rd_kafka_queue_get_main(rk);
			shared->settings = strdup(settings);
			pthread_mutex_init(&shared->lock, NULL);
			pthread_cond_init(&shared->closed_cond, NULL);
			shared->next = clients;
			clients = shared;
			if (role == SX_KAFKA_CROWD && shared->settings != NULL)
				send_to(shared);
		}
	}
	if (shared == NULL || shared->settings == NULL ||
		!(shared->watching || start_watcher(shared)) || !add_topic(shared, topic))
	{
		if (shared != NULL && shared->ntopics == 0)
			close_shared(shared, 0);
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("out of memory")));
	}
	explicit_bzero(settings, strlen(settings));
	pfree(settings);
	return shared;
}

void
sx_kafka_unshare(SxKafkaShared *shared, const char *topic, int timeout_ms)
{
	for (int i = 0; i < shared->ntopics; i++)
	{
		if (strcmp(shared->topics[i], topic) == 0)
		{
			free(shared->topics[i]);
			pthread_mutex_lock(&shared->lock);
			shared->topics[i] = shared->topics[--shared->ntopics];
			pthread_mutex_unlock(&shared->lock);
			break;
		}
	}
	if (shared->ntopics == 0)
		close_shared(shared, timeout_ms);
}

void
sx_kafka_watch(SxKafkaShared *shared, SxKafkaWatched *watched)
{
	__atomic_store_n(&watched->npartitions, -1, __ATOMIC_RELEASE);
	__atomic_store_n(&watched->news, 0, __ATOMIC_RELEASE);
	pthread_mutex_lock(&shared->lock);
	watched->next = shared->watched;
	shared->watched = watched;
	pthread_mutex_unlock(&shared->lock);
}

void
sx_kafka_unwatch(SxKafkaShared *shared, SxKafkaWatched *watched)
{
	SxKafkaWatched **link = &shared->watched;

	pthread_mutex_lock(&shared->lock);
	while (*link != NULL && *link != watched)
		link = &(*link)->next;
	if (*link != NULL)
		*link = watched->next;
	pthread_mutex_unlock(&shared->lock);
}

bool
sx_kafka_shared_suits(const SxKafkaShared *shared, SxKafkaPace pace)
{
	if (pace == SX_KAFKA_BUSY)
		return shared->role == SX_KAFKA_READER;
	return __atomic_load_n(&shared->may_stay, __ATOMIC_ACQUIRE);
}

int
sx_kafka_shared_timeout_ms(const SxKafkaShared *shared)
{
	return TIMEOUT_MS + (shared->role == SX_KAFKA_CROWD ? SX_KAFKA_CROWD_WAIT_MS : 0);
}

rd_kafka_t *
sx_kafka_shared_handle(SxKafkaShared *shared)
{
	return shared->rk;
}

/* ---- any thread ---------------------------------------------------------------- */

bool
sx_kafka_shared_trouble(SxKafkaShared *shared, uint64 *seen, SxKafkaTrouble *trouble)
{
	bool		any;

	pthread_mutex_lock(&shared->lock);
	if (rd_kafka_queue_length(shared->mainq) > 0)
	{
		/* what comes now may only add to what was said before */
		sx_kafka_drain(shared->mainq, 0, &shared->trouble);
		if (shared->trouble.err != RD_KAFKA_RESP_ERR_NO_ERROR)
			shared->ntroubles++;
	}
	any = shared->ntroubles > *seen;
	if (any)
		*trouble = shared->trouble;
	*seen = shared->ntroubles;
	pthread_mutex_unlock(&shared->lock);
	return any;
}

void
sx_kafka_shared_answered(SxKafkaShared *shared)
{
	pthread_mutex_lock(&shared->lock);
	memset(&shared->trouble, 0, sizeof(shared->trouble));
	pthread_mutex_unlock(&shared->lock);
}

/* What the client knows of a topic; false: nothing. */
static bool
find_topic(const struct rd_kafka_metadata *metadata, const char *name,
		   rd_kafka_resp_err_t *err, int *npartitions)
{
	for (int i = 0; metadata != NULL && i < metadata->topic_cnt; i++)
	{
		const struct rd_kafka_metadata_topic *topic = &metadata->topics[i];

		if (strcmp(topic->topic, name) != 0)
			continue;
		*err = topic->err;
		*npartitions = topic->partition_cnt;
		return true;
	}
	return false;
}

/* Of all that the client reads, in one question.  Nobody else is asking. */
static rd_kafka_resp_err_t
ask_for_all(SxKafkaShared *shared, int timeout_ms)
{
	const struct rd_kafka_metadata *metadata = NULL;
	rd_kafka_resp_err_t err;

	err = rd_kafka_metadata(shared->rk, 0, NULL, &metadata, timeout_ms);

	pthread_mutex_lock(&shared->lock);
	if (shared->metadata != NULL)
		rd_kafka_metadata_destroy(shared->metadata);
	shared->metadata = err == RD_KAFKA_RESP_ERR_NO_ERROR ? metadata : NULL;
	shared->err = err;
	shared->asked_ms = sx_kafka_clock_ms();
	shared->asking = false;
	pthread_mutex_unlock(&shared->lock);
	return err;
}

/* The first look at a topic: nothing is known of it. */
static void
ask_for_topic(SxKafkaShared *shared, rd_kafka_topic_t *topic, int timeout_ms,
			  rd_kafka_resp_err_t *err, int *npartitions)
{
	const struct rd_kafka_metadata *metadata;

	*err = rd_kafka_metadata(shared->rk, 0, topic, &metadata, timeout_ms);
	if (*err != RD_KAFKA_RESP_ERR_NO_ERROR)
		return;
	if (!find_topic(metadata, rd_kafka_topic_name(topic), err, npartitions))
		*err = RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
	rd_kafka_metadata_destroy(metadata);
}

bool
sx_kafka_shared_partitions(SxKafkaShared *shared, rd_kafka_topic_t *topic,
						   bool first, int timeout_ms,
						   rd_kafka_resp_err_t *err, int *npartitions)
{
	int64		age;

	*npartitions = 0;
	pthread_mutex_lock(&shared->lock);
	if (first || shared->ntopics == 1)
	{
		pthread_mutex_unlock(&shared->lock);
		ask_for_topic(shared, topic, timeout_ms, err, npartitions);
		return true;
	}
	age = sx_kafka_clock_ms() - shared->asked_ms;
	if (shared->asked_ms != 0 && shared->metadata != NULL && age < ANSWER_MS &&
		find_topic(shared->metadata, rd_kafka_topic_name(topic), err, npartitions))
	{
		pthread_mutex_unlock(&shared->lock);
		return true;
	}
	if (shared->asked_ms != 0 && shared->metadata == NULL && age < FAILURE_MS)
	{
		*err = shared->err;
		pthread_mutex_unlock(&shared->lock);
		return true;
	}
	if (shared->asking)
	{
		pthread_mutex_unlock(&shared->lock);
		return false;
	}
	shared->asking = true;
	pthread_mutex_unlock(&shared->lock);

	*err = ask_for_all(shared, timeout_ms);
	if (*err != RD_KAFKA_RESP_ERR_NO_ERROR)
		return true;
	pthread_mutex_lock(&shared->lock);
	if (!find_topic(shared->metadata, rd_kafka_topic_name(topic), err, npartitions))
		*err = RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
	pthread_mutex_unlock(&shared->lock);
	return true;
}

/* ---- the watching thread ------------------------------------------------------- */

static void
take_complaint(SxKafkaShared *shared, rd_kafka_event_t *event)
{
	pthread_mutex_lock(&shared->lock);
	sx_kafka_take_event(event, &shared->trouble);
	sx_kafka_drain(shared->mainq, 0, &shared->trouble);
	if (shared->trouble.err != RD_KAFKA_RESP_ERR_NO_ERROR)
	{
		shared->ntroubles++;
		for (SxKafkaWatched *w = shared->watched; w != NULL; w = w->next)
			tell(w, SX_KAFKA_NEWS_TROUBLE);
	}
	pthread_mutex_unlock(&shared->lock);
}

/* Are the topics as their sources know them? */
static void
look_at_topics(SxKafkaShared *shared)
{
	bool		wanted = false;

	pthread_mutex_lock(&shared->lock);
	for (SxKafkaWatched *w = shared->watched; w != NULL && !wanted; w = w->next)
		wanted = __atomic_load_n(&w->npartitions, __ATOMIC_ACQUIRE) >= 0;
	wanted &= !shared->asking;
	if (wanted)
		shared->asking = true;
	pthread_mutex_unlock(&shared->lock);
	if (!wanted)
		return;

	(void) ask_for_all(shared, sx_kafka_shared_timeout_ms(shared));

	pthread_mutex_lock(&shared->lock);
	for (SxKafkaWatched *w = shared->watched; w != NULL; w = w->next)
	{
		int			known = __atomic_load_n(&w->npartitions, __ATOMIC_ACQUIRE);
		rd_kafka_resp_err_t err;
		int			n;

		if (known >= 0 &&
			(!find_topic(shared->metadata, w->topic, &err, &n) ||
			 err != RD_KAFKA_RESP_ERR_NO_ERROR || n != known))
			tell(w, SX_KAFKA_NEWS_TOPIC);
	}
	pthread_mutex_unlock(&shared->lock);
}

/* When it is to stop, nobody else uses the client any more. */
static void *
watch_main(void *arg)
{
	SxKafkaShared *shared = arg;
	int			interval_ms = shared->role == SX_KAFKA_CROWD ? WATCH_CROWD_MS : WATCH_FEW_MS;
	int64		next_ms = sx_kafka_clock_ms() + interval_ms;
	bool		abandoned;

	while (!__atomic_load_n(&shared->stop, __ATOMIC_ACQUIRE))
	{
		int64		wait_ms = Max(next_ms - sx_kafka_clock_ms(), 0);
		rd_kafka_event_t *event = rd_kafka_queue_poll(shared->mainq, (int) wait_ms);

		if (event != NULL)
		{
			take_complaint(shared, event);
			rd_kafka_event_destroy(event);
		}
		if (sx_kafka_clock_ms() >= next_ms)
		{
			look_at_topics(shared);
			next_ms = sx_kafka_clock_ms() + interval_ms;
		}
	}
	forget_metadata(shared);
	sx_kafka_destroy_now(shared->rk);
	pthread_mutex_lock(&shared->lock);
	shared->closed = true;
	abandoned = shared->abandoned;
	pthread_cond_signal(&shared->closed_cond);
	pthread_mutex_unlock(&shared->lock);
	if (abandoned)
		free_shared(shared);
	return NULL;
}
