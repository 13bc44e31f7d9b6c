"""The S3 endpoint on this machine from which overnight reads."""

import json
import os
import subprocess


class Bucket:
    def __init__(self, programs, folder):
        self.program = os.path.join(programs, "examples", "s3_endpoint")
        # It serves until its input ends: also when this process is killed.
        self.process = subprocess.Popen(
            [self.program, "--dir", folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit("bench: the S3 endpoint did not start")
        self.ready = json.loads(line)

    def environment(self):
        """For clients, beside what is there already."""
        return {
            "AWS_ACCESS_KEY_ID": self.ready["access_key"],
            "AWS_SECRET_ACCESS_KEY": self.ready["secret_key"],
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
            "AWS_EC2_METADATA_DISABLED": "true",
            "OVERNIGHT_S3_ENDPOINT": self.ready["endpoint"],
            "NO_PROXY": "127.0.0.1",
            "no_proxy": "127.0.0.1",
        }

    def url(self, prefix):
        return f"s3://{self.ready['bucket']}/{prefix}/"

    def put(self, folder, prefix):
        done = subprocess.run(
            [self.program, "put", folder, self.url(prefix)], env={**os.environ, **self.environment()}, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise SystemExit(f"bench: put the inputs into the bucket: {done.stderr.strip()}")

    def stop(self):
        self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
