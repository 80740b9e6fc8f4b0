/*-------------------------------------------------------------------------
 * stop.h
 *		Named stop points: where a test may hold, kill or fail a process.
 *
 * There are some only in a build for tests (make STOP_POINTS=1), which says
 * so by the setting streamx.stop_points; in any other build they are nothing.
 *
 * A point is armed by a file of its name in the directory streamx_stop of
 * the data directory:
 *
 *		ACTION [SKIP [OBJECT [SQLSTATE]]]
 *
 *		wait	stays there until NAME.reached is removed, or the postmaster
 *				has gone
 *		orphan	stays there until the postmaster has gone, then goes on
 *		kill	SIGKILL for itself
 *		error	raises an error, 53000 unless SQLSTATE says otherwise
 *		fault	SIGSEGV, for each who gets there, until the file is removed
 *
 * SKIP: so often a process passes by before it acts.  OBJECT: only where the
 * point is reached for that stream or view ("-": any).  Who acts renames the
 * file to NAME.reached and puts its process id in it, so that only one does,
 * and only once; the file survives a crash of the server, the process need not.
 *
 * In the order of a batch (object: the stream up to take, the view from
 * before_execute to after_progress, then the stream again):
 *
 *		attach				where reading begins: the source is positioned
 *		intake				lines are in the journal, not committed
 *		after_poll			in the reader's thread, if it has one
 *		after_decode		likewise
 *		take				the batch is there, its transaction open
 *		before_execute, before_merge, after_merge
 *		before_derive		the cores of a derived view are written
 *		before_hold			pairs are written, the rows themselves not yet held
 *		before_close, after_close, retention
 *		next_round			a batch far behind goes on, with more rows
 *		before_progress, after_progress
 *		after_follow		a view over views is written
 *		before_commit, after_commit
 *		in_commit			before the commit record, of any transaction that
 *		after_record		has changed something, and after it (object:
 *							"worker", "scheduler", "session")
 *
 * Beside batches (object: the stream or view, "" where there is none):
 *
 *		attach_partition	a partition of a Kafka topic begins to be read (object:
 *							the topic)
 *		folded				a fold process has folded rows and not sent what
 *							came out (object: the stream)
 *		launch				the launcher is about to start a scheduler
 *		assign				the scheduler has shared the streams out
 *		trim				rows that all views have read leave a journal
 *		sync				a worker has looked at the catalog, not committed
 *		refill				rows are read again to fill a view's memory
 *		join_tasks			views that have caught up are about to share a
 *							reading
 *		send				rows have gone to a sink's topic and are still in
 *							the outbox
 *		rebuild_round		a view that is computed anew beside itself has come
 *							to where it stood
 *		rebuild_exchange	it is there and the view locked: rows are about to
 *							be exchanged
 *		create_view, drop_view, set_paused, rebuild, replace_view
 *							in the statement's transaction, all done
 *-------------------------------------------------------------------------
 */
#ifndef SX_BASE_STOP_H
#define SX_BASE_STOP_H

#ifdef SX_STOP_POINTS

/* May raise an error. */
extern void sx_stop_point(const char *name, const char *object);

/* In any thread: no error. */
extern void sx_stop_thread(const char *name, const char *object);

/* _PG_init */
extern void sx_stop_init(void);

#define SX_STOP(name, object)			sx_stop_point(name, object)
#define SX_STOP_THREAD(name, object)	sx_stop_thread(name, object)

#else

#define SX_STOP(name, object)			((void) 0)
#define SX_STOP_THREAD(name, object)	((void) 0)

#endif							/* SX_STOP_POINTS */

#endif							/* SX_BASE_STOP_H */
