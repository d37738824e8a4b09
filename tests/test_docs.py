"""The documentation: every link leads somewhere, and every file that it names exists."""

import glob
import os
import re

import pytest
from conftest import REPOSITORY

PAGES = [os.path.relpath(path, REPOSITORY) for pattern in ("*.md", "docs/*.md", "data/*.md")
         for path in sorted(glob.glob(os.path.join(REPOSITORY, pattern)))]


def read(page):
    with open(os.path.join(REPOSITORY, page), encoding="utf-8") as file:
        return file.read()


def list_anchors(page):
    """The headings of a page as links name them: "The result" -> "the-result"."""
    text = re.sub(r"^```.*?^```", "", read(page), flags=re.M | re.S)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
            for heading in re.findall(r"^#+ (.*)", text, re.M)}


def find_dead_links(page):
    dead = []
    for link in re.findall(r"\]\(([^)]+)\)", read(page)):
        if re.match(r"https?:", link):
            continue
        path, _, anchor = link.partition("#")
        target = os.path.normpath(os.path.join(os.path.dirname(page), path)) if path else page
        if not os.path.exists(os.path.join(REPOSITORY, target)) or \
                anchor and anchor not in list_anchors(target):
            dead.append(link)
    return dead


@pytest.mark.parametrize("page", PAGES)
def test_links(page):
    assert find_dead_links(page) == []


@pytest.mark.parametrize("page", PAGES)
def test_named_files(page):
    # lenet/ops/rewrites.py, but not the same within a link's path or another folder
    named = re.findall(r"(?<![\w/.])(?:lenet|scripts|tests|docs)/[\w/]+\.\w+", read(page))
    assert [name for name in named if not os.path.exists(os.path.join(REPOSITORY, name))] == []


@pytest.mark.parametrize("page", ["docs/lessons.md", "docs/concordance.md"])
def test_every_lesson_is_named(page):
    lessons = glob.glob(os.path.join(REPOSITORY, "scripts", "lesson_*.py"))
    assert [path for path in lessons if f"`{os.path.basename(path)}" not in read(page)] == []


@pytest.mark.parametrize("page", ["docs/tutorial.md", "docs/concordance.md"])
def test_the_page_and_the_lessons_are_named(page):
    assert {"page.md", "lessons.md"} <= set(re.findall(r"\]\(([^)]+)\)", read(page)))


def test_the_readme_is_a_page():
    assert len(read("README.md").splitlines()) <= 150
