"""The workloads of bench/run, which starts the servers and says in the
environment where they are.  Standard library only; PostgreSQL through psql.

servers.py    what runs: SQL, programs, CPU seconds, memory
data.py       topics, files and tables of events; the ceiling over a topic
catch_up.py   views that read a topic from its beginning
native.py     INSERT and COPY into native streams
nexmark.py    the queries of the Nexmark suite
latency.py    from producing an event to seeing it
idle.py       streams on which nothing happens
profile.py    where the cycles go (bench/profile)
report.py     medians of runs, and how they are printed
"""
