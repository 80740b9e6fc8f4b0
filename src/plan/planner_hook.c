/*-------------------------------------------------------------------------
 * planner_hook.c
 *		Before any query is planned: session() as a grouping column is what it
 *		stands for, see session.c.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "optimizer/planner.h"

#include "catalog/view.h"
#include "plan/plan.h"
#include "plan/session.h"

static planner_hook_type prev_planner = NULL;

static PlannedStmt *
plan_query(Query *parse, const char *query_string, int cursor_options,
		   ParamListInfo params)
{
	if (parse->commandType != CMD_UTILITY && sx_extension_exists())
		sx_plan_expand_sessions(parse);
	if (prev_planner)
		return prev_planner(parse, query_string, cursor_options, params);
	return standard_planner(parse, query_string, cursor_options, params);
}

void
sx_plan_init(void)
{
	prev_planner = planner_hook;
	planner_hook = plan_query;
}
