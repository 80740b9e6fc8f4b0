/*-------------------------------------------------------------------------
 * send.c
 *		Rows in the views' outboxes go to Kafka, each exactly once.
 *
 * Batches write to the outbox in their transaction; here, between batches, the
 * worker reads what is committed, hands it to the view's sender (a thread, see
 * sink/kafka_sender.c) and takes away what the topic has got.
 *
 * The number of the last row that the topic has got is kept by the broker, in
 * the transactions that bring the rows.  So:
 *
 *	- rows may be read again after any crash: those up to that number have been
 *	  sent.  When rows were sent and are still here, they are only deleted.
 *	- a number must not come to stand for another row once it was sent: rows
 *	  are handed over only when the commit that brought them is flushed to disk
 *	  here and, where synchronous standbys are named, there.  Batches commit
 *	  without waiting for that, so it is waited for here, once for many.
 *	- when this copy of the data is older than what was sent (a restored backup,
 *	  a promoted standby that lagged behind), the rows that the view writes
 *	  again up to that number are taken for those.
 *
 * The thread never waits for the main thread nor the main thread for it,
 * except when it is closed.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "miscadmin.h"
#include "replication/syncrep.h"
#include "replication/walsender.h"
#include "replication/walsender_private.h"
#include "storage/lmgr.h"
#include "storage/lwlock.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "base/stop.h"
#include "sink/outbox.h"
#include "stats/history.h"
#include "stats/stats.h"
#include "worker/task.h"

#define QUEUED_PARCELS	2		/* handed over and not sent yet */
#define RETRY_MIN_MS	500
#define RETRY_MAX_MS	15000
#define LOCKED_MS		100		/* somebody has locked the view */
#define STANDBY_MIN_MS	10
#define STANDBY_MAX_MS	1000
#define LOOK_MS			1000	/* one with which all is well */

typedef struct Sender
{
	Oid			relid;			/* the view */
	MemoryContext cxt;
	MemoryContext def_cxt;
	SxView	   *view;			/* both as of when it was opened, in def_cxt */
	SxStream   *sink;
	SxSender   *thread;			/* NULL: not open */
	int			wake_fd;
	bool		settled;		/* it is known where to go on */
	bool		reopened;		/* this process has sent before */
	bool		stopped;		/* the view has been stopped by an error */
	int64		found;			/* rows that the outbox had got when this
								 * process began with the view */
	int64		written;		/* rows that it has got, committed */
	XLogRecPtr	lsn;			/* where the commit of the last of them is */
	int64		handed;			/* handed over */
	int64		sent;			/* the topic has them */
	int64		deleted;		/* taken out of the outbox */
	int64		retry_ms;		/* nothing before (monotonic) */
	int			failures;
	int			standby_ms;		/* waiting for a standby, looks so often */
	bool		told;			/* the figures below are in shared memory */
	int64		told_sent;
	char		sqlstate[SX_SQLSTATE_LEN + 1];
	char		error[SX_ERROR_LEN];
	char		told_sqlstate[SX_SQLSTATE_LEN + 1];
	char		told_error[SX_ERROR_LEN];
} Sender;

static MemoryContext senders_cxt = NULL;
static List *senders = NIL;

/* ---- figures -------------------------------------------------------------------- */

static void
set_error(Sender *s, const char *sqlstate, const char *error)
{
	strlcpy(s->sqlstate, sqlstate, sizeof(s->sqlstate));
	strlcpy(s->error, error, sizeof(s->error));
}

static void
report(Sender *s)
{
	SxViewFigures *f;
	int64		sent = s->sink ? s->sent : -1;

	if (s->told && s->told_sent == sent && strcmp(s->told_error, s->error) == 0)
		return;
	sx_stats_lock(true);
	f = sx_stats_view(s->relid, true);
	if (f)
	{
		f->sink_known = true;
		f->sink_sent = sent;
		strlcpy(f->sink_sqlstate, s->sqlstate, sizeof(f->sink_sqlstate));
		strlcpy(f->sink_error, s->error, sizeof(f->sink_error));
	}
	sx_stats_unlock();

	/* what follows on the first complaint is rarely news */
	if (s->error[0] != '\0' &&
		(s->told_error[0] == '\0' || strcmp(s->told_sqlstate, s->sqlstate) != 0))
	{
		sx_history_error(MyDatabaseId, SX_ERROR_SINK, InvalidOid, s->relid, s->sqlstate, s->error);
		ereport(LOG,
				(errcode(MAKE_SQLSTATE(s->sqlstate[0], s->sqlstate[1], s->sqlstate[2],
									   s->sqlstate[3], s->sqlstate[4])),
				 errmsg("sink of continuous view \"%s\": %s",
						s->view ? s->view->name : "?", s->error)));
	}
	s->told = true;
	s->told_sent = sent;
	strlcpy(s->told_sqlstate, s->sqlstate, sizeof(s->told_sqlstate));
	strlcpy(s->told_error, s->error, sizeof(s->told_error));
}

/* ---- opening and closing ----------------------------------------------------------- */

static void
close_thread(Sender *s)
{
	SxSenderStatus status;
	SxSender   *thread = s->thread;

	if (thread == NULL)
		return;
	s->thread = NULL;
	sx_sender_close(thread, &status);
	if (s->settled)
	{
		s->sent = Max(s->sent, status.sent);
		s->reopened = true;
	}
	s->settled = false;
}

static void
close_sender(Sender *s)
{
	close_thread(s);
	senders = list_delete_ptr(senders, s);
	MemoryContextDelete(s->cxt);
}

void
sx_senders_close_all(void)
{
	ListCell   *lc;

	/* all at once, then each */
	foreach(lc, senders)
	{
		Sender	   *s = lfirst(lc);

		if (s->thread)
			sx_sender_stop(s->thread);
	}
	while (senders)
		close_sender(linitial(senders));
}

/*
 * Read what is to be sent where, from the catalog, in a transaction.  false:
 * the view has gone.
 */
static bool
read_definition(Sender *s)
{
	MemoryContext cxt = AllocSetContextCreate(CurTransactionContext,
											  "streamx definition of a sink",
											  ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(cxt);
	SxView	   *view = sx_view_get(s->relid);

	if (view != NULL && OidIsValid(view->outbox))
	{
		SxStream   *sink = sx_stream_get(view->sink, view->owner);

		MemoryContextSwitchTo(old);
		MemoryContextSetParent(cxt, s->cxt);
		if (s->def_cxt)
			MemoryContextDelete(s->def_cxt);
		s->def_cxt = cxt;
		s->view = view;
		s->sink = sink;
		return true;
	}
	MemoryContextSwitchTo(old);
	return false;
}

/* Has what it was opened by changed?  In a transaction. */
static bool
definition_changed(const Sender *s)
{
	SxView	   *view = sx_view_get(s->relid);

	if (view == NULL || view->sink != s->view->sink ||
		view->outbox != s->view->outbox || !sx_stream_is(view->sink))
		return true;
	return !sx_stream_same(s->sink, sx_stream_get(view->sink, view->owner));
}

/*
 * DROP locks the view first: while somebody has it, the outbox is left alone.
 * In a transaction.
 */
static bool
lock_view(const Sender *s)
{
	return ConditionalLockRelationOid(s->relid, AccessShareLock);
}

/*
 * Open a sender: what is written and what is still here, and a thread.  The
 * transaction has a commit record, so that all before it can be flushed.
 */
static bool
open_sender(Sender *s)
{
	SxViewCounters counters;
	int64		first;

	if (!lock_view(s))
		return false;
	if (!read_definition(s))
	{
		/* it is being dropped: the next sync takes the sender away */
		sx_streams_mark_stale();
		return false;
	}
	(void) GetCurrentTransactionId();

	/* what is missing at the front was sent; the broker may know of more */
	sx_view_counters(s->relid, &counters);
	first = sx_outbox_first(s->view->outbox);
	s->written = counters.outbox;
	s->deleted = first > 0 ? first - 1 : counters.outbox;
	if (!s->reopened)
	{
		s->sent = s->deleted;
		s->handed = s->deleted;
	}
	s->thread = sx_sender_open(s->sink, s->view->sink_name, s->wake_fd);
	return true;
}

/* ---- steps ------------------------------------------------------------------------- */

/* One piece of work in a transaction; true: all went well. */
static bool
in_transaction(Sender *s, bool (*work) (Sender *s))
{
	MemoryContext old = CurrentMemoryContext;
	volatile bool result = false;

	PG_TRY();
	{
		StartTransactionCommand();
		PushActiveSnapshot(GetTransactionSnapshot());
		result = work(s);
		PopActiveSnapshot();
		CommitTransactionCommand();
	}
	PG_CATCH();
	{
		ErrorData  *edata;

		MemoryContextSwitchTo(senders_cxt);
		edata = CopyErrorData();
		HOLD_INTERRUPTS();
		FlushErrorState();
		AbortOutOfAnyTransaction();
		RESUME_INTERRUPTS();
		if (ProcDiePending)
			ReThrowError(edata);
		set_error(s, unpack_sql_state(edata->sqlerrcode),
				  edata->message ? edata->message : "unknown error");
		FreeErrorData(edata);
		s->retry_ms = sx_now_ms() + Min(RETRY_MIN_MS << Min(s->failures++, 6), RETRY_MAX_MS);
		result = false;
	}
	PG_END_TRY();
	MemoryContextSwitchTo(old);
	return result;
}

static char *
printable_key(const SxParcel *parcel)
{
	const SxParcelMessage *msg = &parcel->msgs[0];
	const char *key = parcel->bytes + msg->start + msg->route_len;

	if (!msg->has_key || msg->key_len > 100)
		return NULL;
	for (size_t i = 0; i < msg->key_len; i++)
	{
		if (key[i] < ' ' || key[i] > '~')
			return NULL;
	}
	return pnstrdup(key, msg->key_len);
}

/* The view stops; in a transaction. */
static void
stop_view(Sender *s, int sqlstate, const char *error, const char *hint)
{
	ereport(LOG,
			(errcode(sqlstate),
			 errmsg("continuous view \"%s\" has stopped: %s", s->view->name, error),
			 errhint("%s", hint)));
	sx_view_set_error(s->relid, unpack_sql_state(sqlstate), error);
	s->stopped = true;
	sx_streams_mark_stale();
}

static bool
stop_too_large(Sender *s)
{
	SxSenderStatus status;
	SxParcel   *parcel;
	char	   *key = NULL;

	if (!lock_view(s))
		return false;
	sx_sender_look(s->thread, &status);
	parcel = sx_outbox_read(s->view->outbox, status.bad_id - 1);
	if (parcel)
	{
		key = printable_key(parcel);
		sx_parcel_free(parcel);
	}
	stop_view(s, ERRCODE_PROGRAM_LIMIT_EXCEEDED,
			  psprintf(_("sink %s: topic \"%s\" takes no message of " INT64_FORMAT " bytes: row " INT64_FORMAT " of the outbox%s%s"),
					   s->sink->name,
					   sx_option_get(s->sink->table_options, "topic"),
					   status.bad_bytes, status.bad_id,
					   key ? ", key " : "", key ? key : ""),
			  _("Raise max.message.bytes of the topic, then SELECT streamx.resume() of the view."));
	return true;
}

static bool
stop_foreign(Sender *s)
{
	if (!lock_view(s))
		return false;
	stop_view(s, ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
			  psprintf(_("sink %s: somebody else sends the rows of this view to topic \"%s\""),
					   s->sink->name, sx_option_get(s->sink->table_options, "topic")),
			  _("Is there another copy of this database?  Drop the view there, or here; then SELECT streamx.resume() of the one that stays."));
	return true;
}

/*
 * The sender knows what the topic has got.  false: this cannot be us, or not
 * now.
 */
static bool
settle(Sender *s, int64 known)
{
	if (s->reopened)
	{
		if (known > s->handed)
		{
			(void) in_transaction(s, stop_foreign);
			return false;
		}
	}
	else if (known > s->found)
		ereport(LOG,
				(errmsg("topic of sink %s has got " INT64_FORMAT " rows of continuous view \"%s\", which had written " INT64_FORMAT,
						s->sink->name, known, s->view->name, s->found),
				 errdetail("This copy of the data is older.  What the view writes up to that number is taken as sent.")));
	s->sent = Max(s->sent, known);
	s->handed = s->sent;
	s->settled = true;
	s->failures = 0;
	return true;
}

/*
 * Is the commit that brought the rows safe, here and on the standbys that
 * commits are to wait for?
 */
static bool
is_safe(XLogRecPtr lsn)
{
	bool		safe = true;

	if (XLogNeedsFlush(lsn))
		XLogFlush(lsn);
	if (max_wal_senders > 0 && SyncRepStandbyNames != NULL && SyncRepStandbyNames[0] != '\0')
	{
		LWLockAcquire(SyncRepLock, LW_SHARED);
		safe = WalSndCtl->lsn[SYNC_REP_WAIT_FLUSH] >= lsn;
		LWLockRelease(SyncRepLock);
	}
	return safe;
}

/* What may be taken out of the outbox. */
static int64
delete_upto(const Sender *s)
{
	return Min(s->sent, s->written);
}

static bool
has_room(Sender *s)
{
	SxSenderStatus status;

	sx_sender_look(s->thread, &status);
	return status.nqueued < QUEUED_PARCELS;
}

/* Rows that were sent go out, others are handed over. */
static bool
move_on(Sender *s)
{
	int64		upto = delete_upto(s);

	if (!lock_view(s))
	{
		s->retry_ms = sx_now_ms() + LOCKED_MS;
		return false;
	}
	/* with the lock: is it still there? */
	if (s->stopped || sx_view_get(s->relid) == NULL)
	{
		sx_streams_mark_stale();
		return false;
	}
	if (upto > s->deleted)
	{
		SX_STOP("send", s->view->name);
		sx_outbox_delete(s->view->outbox, s->deleted, upto);
		s->deleted = upto;
	}
	if (s->written > s->handed && s->standby_ms == 0 && has_room(s))
	{
		SxParcel   *parcel = sx_outbox_read(s->view->outbox, s->handed);

		if (parcel == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("rows " INT64_FORMAT " to " INT64_FORMAT " are missing in the outbox",
							s->handed + 1, s->written),
					 errhint("Somebody has taken them out: drop the continuous view and create it anew.")));
		s->handed = parcel->msgs[parcel->nmsgs - 1].id;
		sx_sender_give(s->thread, parcel);
	}
	return true;
}

/* Milliseconds until it has to be looked after again. */
static int64
run_sender(Sender *s)
{
	int64		now = sx_now_ms();
	SxSenderStatus status;
	bool		moving = true;

	if (s->stopped)
		return LOOK_MS;
	if (s->retry_ms > now)
		return s->retry_ms - now;
	s->retry_ms = 0;
	if (s->thread == NULL)
	{
		if (!in_transaction(s, open_sender))
			return s->retry_ms ? RETRY_MIN_MS : LOCKED_MS;
		s->lsn = XactLastCommitEnd;
	}
	sx_sender_look(s->thread, &status);

	/* what was wrong stands until it is right */
	if (status.error[0] != '\0' || status.state == SX_SENDER_UP)
		set_error(s, status.sqlstate, status.error);
	if (status.state == SX_SENDER_TOO_LARGE)
	{
		s->sent = Max(s->sent, status.sent);
		(void) in_transaction(s, stop_too_large);
		return LOCKED_MS;
	}
	if (status.state == SX_SENDER_LOST)
	{
		close_thread(s);
		s->retry_ms = now + Min(RETRY_MIN_MS << Min(s->failures++, 6), RETRY_MAX_MS);
		return s->retry_ms - now;
	}
	if (!status.known)
		return LOOK_MS;
	if (!s->settled && !settle(s, status.sent))
		return LOCKED_MS;
	if (status.sent > s->sent)
	{
		s->sent = status.sent;
		s->failures = 0;
	}

	while (moving && (delete_upto(s) > s->deleted ||
					  (s->written > s->handed && status.nqueued < QUEUED_PARCELS)))
	{
		if (s->written > s->handed && !is_safe(s->lsn))
		{
			s->standby_ms = s->standby_ms == 0 ? STANDBY_MIN_MS :
				Min(s->standby_ms * 2, STANDBY_MAX_MS);
			if (s->standby_ms > 500)
				set_error(s, "08000", "waiting for a synchronous standby");
			if (delete_upto(s) <= s->deleted)
				return s->standby_ms;
		}
		else
			s->standby_ms = 0;
		if (!in_transaction(s, move_on))
			return s->retry_ms ? Max(s->retry_ms - now, 1) : LOCKED_MS;
		sx_sender_look(s->thread, &status);
		moving = s->standby_ms == 0;
	}
	return s->standby_ms ? s->standby_ms : LOOK_MS;
}

int64
sx_senders_run(void)
{
	int64		wait = SX_NEVER_MS;
	ListCell   *lc;

	foreach(lc, senders)
	{
		Sender	   *s = lfirst(lc);

		wait = Min(wait, run_sender(s));
		report(s);
	}
	return wait;
}

/* ---- which there are ------------------------------------------------------------------ */

static Sender *
find_sender(Oid view)
{
	ListCell   *lc;

	foreach(lc, senders)
	{
		if (((Sender *) lfirst(lc))->relid == view)
			return lfirst(lc);
	}
	return NULL;
}

void
sx_senders_written(Oid view, int64 last)
{
	Sender	   *s = find_sender(view);

	if (s == NULL)
		return;
	s->written = last;
	s->lsn = XactLastCommitEnd;
}

static void
add_sender(Oid view, int64 found, int ready_fd)
{
	MemoryContext cxt;
	MemoryContext old;
	Sender	   *s;

	cxt = AllocSetContextCreate(senders_cxt, "streamx sender", ALLOCSET_SMALL_SIZES);
	old = MemoryContextSwitchTo(cxt);
	s = palloc0(sizeof(Sender));
	s->relid = view;
	s->cxt = cxt;
	s->found = found;
	s->wake_fd = ready_fd;
	MemoryContextSwitchTo(senders_cxt);
	senders = lappend(senders, s);
	MemoryContextSwitchTo(old);
}

/* One whose stream or server has changed is opened anew. */
static bool
follow_definition(Sender *s)
{
	if (definition_changed(s))
		close_thread(s);
	return true;
}

void
sx_senders_sync(int ready_fd)
{
	List	   *wanted = NIL;
	List	   *runs = NIL;
	ListCell   *ls;
	ListCell   *lt;
	ListCell   *lv;

	if (senders_cxt == NULL)
		senders_cxt = AllocSetContextCreate(TopMemoryContext, "streamx senders",
											ALLOCSET_DEFAULT_SIZES);
	foreach(ls, sx_streams)
	{
		foreach(lt, ((SxStreamRun *) lfirst(ls))->tasks)
		{
			foreach(lv, ((SxTask *) lfirst(lt))->views)
			{
				SxViewRun  *run = lfirst(lv);

				if (OidIsValid(run->view->outbox) && !list_member_ptr(runs, run))
				{
					runs = lappend(runs, run);
					wanted = lappend_oid(wanted, run->relid);
				}
			}
		}
	}
again:
	foreach(ls, senders)
	{
		Sender	   *s = lfirst(ls);

		if (s->stopped || !list_member_oid(wanted, s->relid))
		{
			close_sender(s);
			goto again;
		}
		if (s->thread != NULL)
			(void) in_transaction(s, follow_definition);
	}
	foreach(ls, runs)
	{
		SxViewRun  *run = lfirst(ls);

		if (find_sender(run->relid) == NULL)
			add_sender(run->relid, run->outbox, ready_fd);
	}
	list_free(wanted);
	list_free(runs);
}
