#!/bin/bash
# The manual rollback of the Andrea runbook, section 3, as a careful person writes it: it stops at the first
# fault, restores beside the live database and in one transaction, and waits until the application answers.
set -euo pipefail

CODE=$1
GOOD=$2
BACKUP=$3
HEALTH=$4
STAMP=$(date +%Y%m%d%H%M%S)

# Revertir código
cd "$CODE"
git fetch -q origin
[ "$(git rev-parse HEAD)" = "$(git rev-parse origin/main)" ]
git read-tree -u --reset "$GOOD"
git commit -q -m "Roll back to $GOOD"
git push -q origin main

# Detener contenedores
docker stop app worker scheduler >/dev/null

# Restaurar el dump SQL más reciente
pg_restore -l "$BACKUP" >/dev/null
psql -qX -d postgres -c "CREATE DATABASE andrea_new OWNER andrea"
pg_restore --exit-on-error --single-transaction -d andrea_new "$BACKUP"
psql -qX -d postgres -v ON_ERROR_STOP=1 >/dev/null <<SQL
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'andrea';
BEGIN;
ALTER DATABASE andrea RENAME TO andrea_$STAMP;
ALTER DATABASE andrea_new RENAME TO andrea;
COMMIT;
SQL

# Reiniciar servicios
docker start app worker scheduler >/dev/null
until curl -sf -o /dev/null "$HEALTH"; do sleep 0.1; done
