#!/bin/sh
# A throwaway cluster for tests/e2e, on Linux with docker, kind, kubectl and curl: kind with Tekton and Argo CD, and beside
# it, as containers on this machine, an S3 server and a Git server. Prints what the tests must be told, for a shell:
#   eval "$(just cluster)"; just test tests/e2e          and at the end: just cluster-down
set -eu
cd "$(dirname "$0")/.."
TEKTON=https://github.com/tektoncd/pipeline/releases/download/v1.15.0/release.yaml
# Its core: the controllers, without a UI and an API server of its own.
ARGOCD=https://raw.githubusercontent.com/argoproj/argo-cd/v3.5.7/manifests/core-install.yaml
S3_IMAGE=quay.io/minio/minio:RELEASE.2025-09-07T16-13-09Z
GIT_IMAGE=docker.io/gitea/gitea:1.24-rootless
KEY=mlgen-e2e SECRET=mlgen-e2e-secret

if [ "${1:-}" = down ]; then
    docker rm --force mlgen-s3 mlgen-git >&2
    kind delete cluster --name mlgen >&2
    exit
fi

docker build --quiet --tag mlgen-runtime:kind . >&2
docker build --quiet --tag mlgen-scikit-learn:kind pipelines/images/scikit-learn >&2
kind create cluster --name mlgen --wait 120s >&2
kind load docker-image --name mlgen mlgen-runtime:kind mlgen-scikit-learn:kind >&2
kubectl apply --server-side -f "$TEKTON" >&2
kubectl -n tekton-pipelines patch configmap feature-flags --patch '{"data": {"set-security-context": "true"}}' >&2
kubectl create namespace argocd >&2
kubectl apply --namespace argocd --server-side --force-conflicts -f "$ARGOCD" >&2
kubectl -n tekton-pipelines wait deployment --all --for condition=Available --timeout 300s >&2
kubectl -n argocd wait deployment --all --for condition=Available --timeout 300s >&2
kubectl -n argocd rollout status statefulset/argocd-application-controller --timeout 300s >&2

# The gateway of kind's network is this machine, for pods and for itself.
host=$(docker network inspect kind --format '{{range .IPAM.Config}}{{.Gateway}}{{"\n"}}{{end}}' | grep -F . | head -n 1)
docker run --detach --name mlgen-s3 --publish "$host:8333:9000" --env MINIO_ROOT_USER=$KEY \
    --env MINIO_ROOT_PASSWORD=$SECRET --entrypoint sh "$S3_IMAGE" -c 'mkdir -p /data/mlgen && exec minio server /data' >&2
docker run --detach --name mlgen-git --publish "$host:3000:3000" --env GITEA__security__INSTALL_LOCK=true "$GIT_IMAGE" >&2
until curl --silent --fail "http://$host:3000/api/healthz" >/dev/null; do sleep 1; done
docker exec mlgen-git gitea admin user create --username $KEY --password $SECRET --email e2e@example.com \
    --must-change-password=false >&2
curl --silent --fail --show-error --user $KEY:$SECRET --json '{"name": "e2e"}' "http://$host:3000/api/v1/user/repos" >&2

cat <<END
export KUBECONFIG='${KUBECONFIG:-$HOME/.kube/config}'
export MLGEN_E2E_RUNTIME_IMAGE=mlgen-runtime:kind MLGEN_E2E_SCIKIT_LEARN_IMAGE=mlgen-scikit-learn:kind
export MLGEN_E2E_PYTHON_IMAGE=python:3.12-slim
export MLGEN_E2E_S3_ENDPOINT=http://$host:8333 MLGEN_E2E_S3_BUCKET=mlgen
export MLGEN_E2E_S3_ACCESS_KEY=$KEY MLGEN_E2E_S3_SECRET_KEY=$SECRET
export MLGEN_E2E_GIT_REPOSITORY=http://$host:3000/$KEY/e2e.git MLGEN_E2E_GIT_USER=$KEY MLGEN_E2E_GIT_TOKEN=$SECRET
export MLGEN_E2E_ARGOCD_NAMESPACE=argocd
export MLGEN_E2E_HOST=$host MLGEN_E2E_NODE_EXEC='docker exec mlgen-control-plane'
END
