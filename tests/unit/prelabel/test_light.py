import subprocess
import sys


def test_the_runner_and_the_gateway_never_pay_for_torch() -> None:
    # Given a process that imports all of pre-labelling that is not a model
    code = (
        "import serve_apps.prelabel.stage, serve_apps.prelabel.local\n"
        "import serve_apps.prelabel.loading, serve_apps.prelabel.deployment, sys\n"
        "print(sorted({'torch', 'transformers'} & set(sys.modules)))"
    )
    # When it looks at what that brought in
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    # Then the networks' libraries are not there
    assert shown.stdout.strip() == "[]"
