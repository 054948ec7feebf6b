#!/bin/bash
# rollback_connector.sh

CONNECTOR=$1
VERSION=$2

# Verificar parámetros
if [ -z "$CONNECTOR" ] || [ -z "$VERSION" ]; then
  echo "Uso: rollback_connector.sh [connector_name] [version]"
  exit 1
fi

# Desactivar conector
echo "Desactivando conector $CONNECTOR..."
curl -X POST https://api.genia.ai/admin/connectors/$CONNECTOR/disable \
  -H "Authorization: Bearer $ADMIN_TOKEN"

# Revertir código
echo "Revirtiendo código a versión $VERSION..."
git checkout $VERSION -- src/lib/connectors/$CONNECTOR.ts

# Reconstruir y desplegar
echo "Reconstruyendo y desplegando..."
npm run build
npm run deploy:staging

echo "Rollback completado. Verificar funcionamiento antes de reactivar."
