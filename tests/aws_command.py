"""The `aws` command, without waiting for Python to load it anew for each call: made once, and forked for each line of
standard input, a list of arguments. Writes a line for each, `{"code": …, "stdout": …, "stderr": …}`, and before them one with
the operations of each service.

What parent and child run together is what the script `aws` runs; `test_aws_cli.py` starts that script itself.
"""

import gc
import json
import os
import sys
import tempfile
import traceback

import awscli.clidriver
import awscli.handlers  # Loaded by the command itself only once it runs.


def run(driver, arguments: list[str], out: int, err: int) -> int:
    """The child's exit code."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    code = 255
    try:
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(out, 1)
        os.dup2(err, 2)
        code = driver.main(arguments)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def main() -> None:
    driver = awscli.clidriver.create_clidriver()
    # By the models that the command brings along. They are read once, here.
    models = {service: driver.session.get_service_model(service) for service in ("kms", "iam", "sts")}
    print(json.dumps({"operations": {name: model.operation_names for name, model in models.items()}}), flush=True)
    gc.freeze()  # What the children share is not written to, and so not copied.
    for line in sys.stdin:
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            code = run(driver, json.loads(line), out.fileno(), err.fileno())
            texts = []
            for file in (out, err):
                file.seek(0)
                texts.append(file.read().decode())
        print(json.dumps({"code": code, "stdout": texts[0], "stderr": texts[1]}), flush=True)


main()
