# An image for `rqDashboard.image`: rq-dashboard with rq 3. `six` is what rq-dashboard 0.9.0 needs and does not name.
FROM docker.io/library/python:3.13-slim-trixie@sha256:bb2988715db2cf7ace7b53f38f3cffbef7c7046a656bee66245eb0ed386e2e81
RUN pip install --no-cache-dir rq-dashboard==0.9.0 rq==3.0.0 six==1.17.0
USER 10001:10001
ENTRYPOINT ["rq-dashboard"]
