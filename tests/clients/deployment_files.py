"""The files of config/deploy fit together: what one names, another has.

    deployment_files.py --folder config/deploy
"""

import argparse
import json
import pathlib
import sys

import yaml

problems = []


def expect(is_right, what):
    if not is_right:
        problems.append(what)


def read(path):
    return yaml.safe_load(path.read_text())


def check_compose(folder):
    compose = read(folder / "compose.yaml")
    services = compose["services"]
    expect(set(services) == {"postroom", "prometheus", "grafana"}, f"services: {sorted(services)}")
    used = {"volumes": set(), "secrets": set()}
    for name, service in services.items():
        check_service(folder, name, service, services)
        for volume in service.get("volumes", []):
            source, target, *mode = volume.split(":")
            if source.startswith("."):
                expect((folder / source).exists(), f"{name}: `{source}` is not there")
                expect(mode == ["ro"], f"{name}: `{source}` can be written")
            else:
                used["volumes"].add(source)
            expect(target.startswith("/"), f"{name}: `{target}` is no absolute path")
        used["secrets"].update(service.get("secrets", []))
    for kind, names in used.items():
        expect(names == set(compose[kind]), f"{kind}: {sorted(names)} are used, {sorted(compose[kind])} are there")
    for name, secret in compose["secrets"].items():
        expect(secret["file"] == f"./secrets/{name}", f"the secret `{name}` is not read from a file")
    return services


def check_service(folder, name, service, services):
    expect("healthcheck" in service, f"{name}: no healthcheck")
    expect("mem_limit" in service, f"{name}: no limit of memory")
    expect(service.get("cap_drop") == ["ALL"], f"{name}: keeps capabilities")
    expect("no-new-privileges:true" in service.get("security_opt", []), f"{name}: may gain privileges")
    for port in service.get("ports", []):
        expect(port.startswith("127.0.0.1:"), f"{name}: `{port}` is open to the network")
    for other in service.get("depends_on", {}):
        expect(other in services, f"{name}: waits for `{other}`")
    build = service.get("build")
    if build:
        file = folder / build["context"] / build["dockerfile"]
        expect(file.is_file(), f"{name}: `{file}` is not there")
        expect(f" AS {build['target']}\n" in file.read_text(), f"{name}: no target `{build['target']}`")
    else:
        expect(":" in service["image"] and not service["image"].endswith(":latest"), f"{name}: its image has no version")


def check_containerfile(folder):
    text = (folder / "Containerfile").read_text()
    root = folder.parent.parent
    for line in text.splitlines():
        if line.startswith("COPY ") and "--from" not in line:
            for source in line.split()[1:-1]:
                expect((root / source).exists(), f"Containerfile: `{source}` is not there")
    finals = text.split("\nFROM ")[2:]
    expect(len(finals) == 2, "Containerfile: not two images")
    for final in finals:
        name = final.split("\n")[0]
        users = [line.split()[1] for line in final.splitlines() if line.startswith("USER ")]
        expect(users and users[-1] == "10001:10001", f"{name}: runs as {users}")
        for word in ("HEALTHCHECK", "VOLUME", "ENTRYPOINT", "EXPOSE 7011"):
            expect(f"\n{word}" in final, f"{name}: no {word}")


def check_monitoring(folder, services):
    job = read(folder / "prometheus.yml")["scrape_configs"][0]
    expect(job["job_name"] == "postroom", "the alerts look for the job `postroom`")
    port = job["static_configs"][0]["targets"][0].split(":")
    expect(port[0] in services and port[1] == "7011", f"prometheus.yml asks {port}")
    key = job["authorization"]["credentials_file"]
    expect(key == f"/run/secrets/{services['prometheus']['secrets'][0]}", f"the key is not at {key}")
    source = read(folder / "grafana/provisioning/datasources/prometheus.yml")["datasources"][0]
    expect(source["type"] == "prometheus" and source["url"] == "http://prometheus:9090", f"{source}")
    provider = read(folder / "grafana/provisioning/dashboards/postroom.yml")["providers"][0]
    path = provider["options"]["path"]
    mounted = [volume.split(":")[1] for volume in services["grafana"]["volumes"]]
    expect(f"{path}/postroom.json" in mounted, f"no board in {path}")
    home = services["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    expect(home in mounted, f"no board at {home}")
    json.loads((folder / "grafana/postroom.json").read_text())


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", type=pathlib.Path, required=True)
    folder = parser.parse_args().folder
    services = check_compose(folder)
    check_containerfile(folder)
    check_monitoring(folder, services)
    for problem in problems:
        print(problem)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
